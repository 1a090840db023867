"""A Django project as the tutorial has it: manage.py, with its settings in the same place. DATABASE names the file."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    SECRET_KEY='for tests',
    INSTALLED_APPS=['django.contrib.contenttypes', 'django.contrib.auth', 'polls'],
    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.environ['DATABASE']}},
    DEFAULT_AUTO_FIELD='django.db.models.BigAutoField',
    USE_TZ=True,
)
execute_from_command_line(sys.argv)
