"""Let property tests take their time: on a busy machine a deadline measures the machine."""

from hypothesis import settings

settings.register_profile("core", deadline=None)
settings.load_profile("core")
