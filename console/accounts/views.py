from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from console.accounts import fresh
from console.accounts.current import user_of
from console.accounts.forms import PasswordAgainForm, SignInForm


class SignIn(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        fresh.mark(self.request)
        return answer


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def re_authenticate(request: HttpRequest) -> HttpResponse:
    """Ask for the password again, then go on to ``next``."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    here = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    form = PasswordAgainForm(request, user_of(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        fresh.mark(request)
        return HttpResponseRedirect(wanted if here else "/")
    return render(request, "accounts/re_authenticate.html", {"form": form, "next": wanted if here else "/"})
