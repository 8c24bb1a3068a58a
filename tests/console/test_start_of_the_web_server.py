"""The start of the web server looks for no rubbish among what it imports, and looks for it from then on."""

import gc
import importlib

import console.asgi


def test_rubbish_is_collected_once_it_has_been_imported() -> None:
    assert gc.isenabled()
    importlib.reload(console.asgi)
    assert gc.isenabled()


def test_who_has_switched_collecting_off_finds_it_off() -> None:
    gc.disable()
    try:
        importlib.reload(console.asgi)
        assert not gc.isenabled()
    finally:
        gc.enable()
