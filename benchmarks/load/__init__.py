"""The load test of the service: hundreds or thousands of pictures through the page in Chromium, and by the client."""
