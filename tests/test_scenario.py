"""`scenario.py` notices what is wrong: answers, refusals, calls that a client doesn't have."""

import datetime

import pytest
import scenario
from scenario import Refusal

NOW = datetime.datetime.now(datetime.timezone.utc)


class Client:
    """Answers each operation with what it was made with."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def operations(self, _service):
        return set(self.answers)

    def call(self, _service, _region, operation, members):
        self.calls.append((operation, members))
        answer = self.answers[operation]
        if isinstance(answer, Refusal):
            raise answer
        return answer


def play(client, *steps):
    scenario.play([{"with": {}, **step} for step in steps], client, {"account": "111122223333"})


@pytest.mark.parametrize("answer,expected", [
    ({"A": "a"}, {"A": "b"}),
    ({}, {"A": "a"}),
    ({"A": "a"}, {"A": None}),
    ({"A": "text"}, {"A": {"$is": "bytes"}}),
    ({"A": b""}, {"A": {"$is": "bytes"}}),
    ({"A": NOW.timestamp()}, {"A": {"$is": "a time"}}),
    ({"A": NOW - datetime.timedelta(days=20000)}, {"A": {"$is": "a time"}}),
    ({"A": b"abc"}, {"A": {"$length": 4}}),
    ({}, {"A": {"$length": 4}}),
    ({"A": "arn:x"}, {"A": {"$matches": "^x"}}),
    ({"A": "a"}, {"A": {"$not": "a"}}),
    ({}, {"A": {"$not": "a"}}),
    ({"A": b"abc"}, {"A": "abd"}),
    ({"A": [1, 2]}, {"A": [1]}),
    ({"A": [{"B": 1}]}, {"A": [{"B": 2}]}),
    ({"A": "x"}, {"A": {"B": 1}}),
    ({"A": "111122223333"}, {"A": "x${account}"}),
])
def test_wrong_answers(answer, expected):
    with pytest.raises(AssertionError, match="answer.A"):
        play(Client(ListKeys=answer), {"call": "ListKeys", "gives": expected})


def test_right_answers():
    answer = {"A": b"abc", "B": NOW, "C": [{"D": 1, "E": 2}], "F": "key/111122223333"}
    expected = {"A": "abc", "B": {"$is": "a time"}, "C": [{"D": 1}], "F": "key/${account}", "G": None}
    play(Client(ListKeys=answer), {"call": "ListKeys", "gives": expected})


@pytest.mark.parametrize("answer,step", [
    ({}, {"fails": "NotFoundException"}),
    (Refusal("OtherException", ""), {"fails": "NotFoundException"}),
    (Refusal("NotFoundException", "a"), {"fails": "NotFoundException", "saying": "b"}),
    (Refusal("NotFoundException", "a"), {"gives": {}}),
])
def test_wrong_refusals(answer, step):
    with pytest.raises(AssertionError, match="step 0, ListKeys"):
        play(Client(ListKeys=answer), {"call": "ListKeys", **step})


def test_what_a_client_lacks_leaves_out_what_builds_on_it_and_nothing_else():
    steps = [
        {"call": "ListKeys", "gives": {}, "as": "one"},
        {"call": "Sign", "with": {"A": "${one.A}"}, "gives": {}, "as": "two"},
        {"call": "Encrypt", "with": {"A": "${two.A}"}, "gives": {}},
        {"call": "Encrypt", "with": {}, "gives": {}},
        {"call": "Sign", "with": {}, "gives": {}},
    ]
    client = Client(Encrypt={}, Sign={"A": "a"})
    play(client, *steps)
    assert client.calls == [("Encrypt", {}), ("Sign", {})]
    client = Client(ListKeys={"A": "b"}, Encrypt={}, Sign={"A": "a"})
    play(client, *steps)
    assert client.calls == [("ListKeys", {}), ("Sign", {"A": "b"}), ("Encrypt", {"A": "a"}), ("Encrypt", {}), ("Sign", {})]
