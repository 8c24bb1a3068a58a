"""Pictures of every page. What they are taken with reads the settings while it is imported, so they are loaded here."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()
