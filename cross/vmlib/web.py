"""The web server of a test."""
import http.server


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        """Nothing."""

    def send_head(self):
        """Always the file: the time of a file counts in seconds, so one that was written twice within a second would pass for unchanged."""
        del self.headers["If-Modified-Since"]
        return super().send_head()
