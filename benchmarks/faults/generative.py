"""Faults in prompts with completions, and in conversations."""

from typing import Any

from benchmarks.faults.labelled import TEXTS, equal_rows
from benchmarks.faults.planting import Fault, Plant, appended, each, set_to

LONG = "on and on it goes " * 60


def with_turns(*turns: dict[str, Any]) -> Plant:
    return set_to("messages", list(turns))


def user(content: Any = "How are you ?") -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any = "Fine.") -> dict[str, Any]:
    return {"role": "assistant", "content": content}


PAIRS: tuple[Fault, ...] = (
    Fault("null prompt", "prompt.required", set_to("prompt", None)),
    Fault("empty prompt", "prompt.minLength", set_to("prompt", "")),
    Fault("number for a prompt", "prompt.type", set_to("prompt", 7)),
    Fault("null completion", "completion.required", set_to("completion", None)),
    Fault("completion left out", "completion.required", each(lambda row: row.pop("completion"))),
    Fault("empty completion", "completion.minLength", set_to("completion", "")),
    Fault("completion of blanks", "completion.minLength", set_to("completion", " \n ")),
    Fault("list for a completion", "completion.type", set_to("completion", ["yes"])),
    Fault("answer cut away", "answer_cut_away", set_to("prompt", LONG)),
    Fault("answer cut in two", "max_tokens", set_to("completion", LONG)),
    Fault(
        "prompt that ends inside a token", "token_boundary", set_to("prompt", "The answer, as I said, is ")
    ),
    Fault("pair twice", "no_duplicates", equal_rows),
    *(
        Fault(f"{name} in an answer", rule, appended("completion", text))
        for name, rule, text in TEXTS
        if name in {"bytes lost in decoding", "e-mail address", "access token"}
    ),
)

TALKS: tuple[Fault, ...] = (
    Fault("null conversation", "messages.required", set_to("messages", None)),
    Fault("text for a conversation", "messages.type", set_to("messages", "user: hello")),
    Fault("empty conversation", "turns_well_formed", with_turns()),
    Fault("turn without content", "turns_well_formed", with_turns({"role": "user"}, assistant())),
    Fault("empty answer", "turns_well_formed", with_turns(user(), assistant(""))),
    Fault("answer of blanks", "turns_well_formed", with_turns(user(), assistant(" \n"))),
    Fault("null answer", "turns_well_formed", with_turns(user(), assistant(None))),
    Fault("number for an answer", "turns_well_formed", with_turns(user(), assistant(42))),
    Fault("question without an answer", "role_order", with_turns(user())),
    Fault("last word to the user", "role_order", with_turns(user(), assistant(), user("Really ?"))),
    Fault("answer before the question", "role_order", with_turns(assistant(), user())),
    Fault("two questions in a row", "role_order", with_turns(user(), user("Well ?"), assistant())),
    Fault(
        "system turn in the middle",
        "role_order",
        with_turns(user(), {"role": "system", "content": "x"}, assistant()),
    ),
    Fault(
        "unknown role",
        "role_order",
        with_turns({"role": "human", "content": "a"}, {"role": "bot", "content": "b"}),
    ),
    Fault(
        "conversation of the system alone",
        "role_order",
        with_turns({"role": "system", "content": "Be brief."}),
    ),
    Fault("answer behind what the model reads", "answer_cut_away", with_turns(user(LONG), assistant())),
    Fault("conversation twice", "no_duplicates", equal_rows),
)
