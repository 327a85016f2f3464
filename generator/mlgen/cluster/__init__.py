"""The only room that talks to an API server: runs are created, followed and cancelled, the logs of their pods read."""
