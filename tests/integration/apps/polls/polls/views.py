"""The site's pages; those that touch the database run in Django's thread pool."""

from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from polls.models import Choice, Question


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Every question with its choices."""
    questions = Question.objects.prefetch_related("choices").order_by("pk")
    return render(request, "polls/index.html", {"questions": questions})


@require_POST
def vote(request: HttpRequest, choice_id: int) -> HttpResponse:
    """Counts one vote."""
    if not Choice.objects.filter(pk=choice_id).update(votes=F("votes") + 1):
        raise Http404("no such choice")
    return redirect("index")


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Healthy only when the database answers and is migrated."""
    return JsonResponse({"status": "ok", "questions": Question.objects.count()})


@require_safe
async def whoami(request: HttpRequest) -> JsonResponse:
    """The client, scheme and host as they reached the app through the proxy."""
    return JsonResponse(
        {
            "app": "polls",
            "client": request.META.get("REMOTE_ADDR"),
            "scheme": request.scheme,
            "host": request.get_host(),
            "port": int(request.get_port()),
            "root_path": request.META.get("SCRIPT_NAME", ""),
            "url": request.build_absolute_uri(),
            "home": request.build_absolute_uri(reverse("index")),
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
    )


@require_safe
async def port(request: HttpRequest) -> JsonResponse:
    """The port as Django knows it: an error 500 when the server did not name one."""
    return JsonResponse({"port": int(request.get_port()), "url": request.build_absolute_uri("/port")})
