"""Runs the app as people who know nothing of systemd do: on the port that the environment names."""

import os

import uvicorn

if __name__ == "__main__":
    uvicorn.run(
        "parcels.main:app", host="127.0.0.1", port=int(os.environ["PORT"]), workers=2, proxy_headers=True
    )
