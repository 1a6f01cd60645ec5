"""Needs one worker: it keeps its sessions in memory."""
