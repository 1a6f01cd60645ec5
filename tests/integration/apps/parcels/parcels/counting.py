"""What the workers count together, by a library that not every release of this app has."""

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

router = APIRouter()
counted = Counter("parcels_counted", "Requests to count.")
workers = Gauge("parcels_workers", "Workers that live.", multiprocess_mode="livesum")
workers.set(1)


@router.post("/count")
async def count() -> dict[str, bool]:
    """Counts once."""
    counted.inc()
    return {"counted": True}


@router.get("/metrics")
async def metrics() -> Response:
    """The counts of all workers."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return Response(generate_latest(registry), media_type="text/plain")
