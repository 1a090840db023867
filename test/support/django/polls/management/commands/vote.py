"""manage.py vote QUESTIONS VOTES: questions with three choices each, and votes for them, one transaction each."""

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from polls.models import Choice, Question


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument('questions', type=int)
        parser.add_argument('votes', type=int)

    def handle(self, *args, questions, votes, **options):
        User.objects.create_user('admin', 'admin@example.com', 'secret')
        for number in range(questions):
            with transaction.atomic():
                question = Question.objects.create(question_text=f'Question {number}?', pub_date=timezone.now())
                for choice in ('yes', 'no', 'perhaps'):
                    Choice.objects.create(question=question, choice_text=choice)
        for number in range(votes):
            Choice.objects.filter(pk=1 + number % (3 * questions)).update(votes=F('votes') + 1)
