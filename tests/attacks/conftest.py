from tests.console.oauth.conftest import browser, connect_host, host, live, no_registrations_counted, others_paper

__all__ = ["browser", "connect_host", "host", "live", "no_registrations_counted", "others_paper"]
