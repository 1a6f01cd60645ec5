"""What the modules of asgi.host do, apart from Ansible."""
