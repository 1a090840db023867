import os

from django.db.models import F
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from .models import Choice, Question


def page(request, name, context):
    """Says, too, which of the server's processes it is from."""
    response = render(request, f'polls/{name}.html', context)
    response['X-Process'] = str(os.getpid())
    return response


def index(request):
    return page(request, 'index', {'questions': Question.objects.order_by('-pub_date')[:5]})


def detail(request, question_id):
    return page(request, 'detail', {'question': get_object_or_404(Question, pk=question_id)})


def results(request, question_id):
    return page(request, 'results', {'question': get_object_or_404(Question, pk=question_id)})


def vote(request, question_id):
    choice = get_object_or_404(Choice, question=question_id, pk=request.POST['choice'])
    choice.votes = F('votes') + 1
    choice.save()
    return HttpResponseRedirect(reverse('polls:results', args=(question_id,)))
