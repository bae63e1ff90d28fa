"""The data in a pickle, read without executing anything.

A pickle is a program for a stack machine. This machine knows the instructions that make data, and of names it knows
those that it is given: it imports nothing, makes no object of a class, and calls nothing else.
"""

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_MARK = object()

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
)
"""Instructions whose argument is the value."""


def read_stream(
    stream: bytes,
    names: Mapping[str, Any] | None = None,
    resolve: Callable[[Any], Any] | None = None,
) -> Any:
    """The value of a pickle: numbers, strings, tuples, lists and dicts, and what `names` and `resolve` make of them.

    Args:
      stream: the pickle.
      names: what the names in it stand for, such as "collections.OrderedDict". Those that are functions may be called.
      resolve: what an identifier of something outside the pickle stands for.
    Raises:
      ValueError: for a stream that is broken, and for one that asks for anything else: the name or the instruction,
        and the byte where it stands.
    """
    machine = _Machine(names or {}, resolve)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of an escape in a string that Python does not know
        for instruction, argument, position in pickletools.genops(stream):
            try:
                machine.execute(instruction.name, argument)
            except (ValueError, TypeError, IndexError, KeyError) as error:
                raise ValueError(f"{_sentence(error)} (byte {position} of the pickle)") from None
    return machine.result


def _sentence(error: Exception) -> str:
    """What was wrong, also where Python says no more than a key or an index."""
    return str(error) if isinstance(error, ValueError) else f"the pickle is broken: {type(error).__name__}: {error}"


@dataclass
class _Machine:
    """The stack, and what has been remembered."""

    names: Mapping[str, Any]
    resolve: Callable[[Any], Any] | None
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    result: Any = None

    def execute(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction."""
        if instruction in _CONSTANTS:
            self.stack.append(_CONSTANTS[instruction])
        elif instruction in _VALUES:
            self.stack.append(argument)
        elif instruction in _INSTRUCTIONS:
            _INSTRUCTIONS[instruction](self, argument)
        else:
            raise ValueError(f"the pickle has the instruction {instruction}, which this reader does not carry out")

    def to_mark(self) -> list[Any]:
        """Take off what stands above the last mark, and the mark."""
        at = next((i for i in reversed(range(len(self.stack))) if self.stack[i] is _MARK), None)
        if at is None:
            raise IndexError("no mark on the stack")
        above = self.stack[at + 1 :]
        del self.stack[at:]
        return above

    def pop(self) -> Any:
        """Take off the topmost value."""
        value = self.stack.pop()
        if value is _MARK:
            raise IndexError("a mark where a value was expected")
        return value

    def make_tuple(self, length: int | None) -> None:
        self.stack.append(tuple(self.to_mark() if length is None else reversed([self.pop() for _ in range(length)])))

    def remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def named(self, module: Any, name: Any) -> None:
        full = f"{module}.{name}"
        if full not in self.names:
            known = f"it may name {', '.join(self.names)}" if self.names else "it may name none"
            raise ValueError(f"the pickle names {full}, and this reader imports nothing: {known}")
        self.stack.append(self.names[full])

    def identified(self) -> None:
        if self.resolve is None:
            raise ValueError("the pickle refers to something outside it")
        self.stack.append(self.resolve(self.pop()))

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not callable(function) or not isinstance(arguments, tuple):
            raise ValueError(f"the pickle calls a value of type {type(function).__name__}, which is no function")
        self.stack.append(function(*arguments))

    def extend(self, values: list[Any]) -> None:
        of = self.stack[-1]
        if not isinstance(of, list):
            raise ValueError(f"the pickle appends to a value of type {type(of).__name__}, expected a list")
        of.extend(values)

    def set_items(self, values: list[Any]) -> None:
        of = self.stack[-1]
        if not isinstance(of, dict):
            raise ValueError(f"the pickle sets an item of a value of type {type(of).__name__}, expected a dict")
        if len(values) % 2:
            raise ValueError("the pickle has a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Keys are hashed, which takes for ever for a tuple that holds another one twice, a hundred times over.
            if not isinstance(key, str | int):
                raise ValueError(f"the pickle has a key of type {type(key).__name__}, expected a string or a number")
            of[key] = value

    def drop_state(self) -> None:
        """An ordered dict may have attributes, such as `_metadata`: they are read, and left."""
        self.pop()
        if not isinstance(self.stack[-1], dict):
            raise ValueError(f"the pickle changes a value of type {type(self.stack[-1]).__name__}")

    def stop(self) -> None:
        self.result = self.pop()


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: machine.stop(),
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "EMPTY_TUPLE": lambda machine, _: machine.make_tuple(0),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "TUPLE": lambda machine, _: machine.make_tuple(None),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.to_mark()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.to_mark()),
    "MEMOIZE": lambda machine, _: machine.remember(None),
    "BINPUT": lambda machine, index: machine.remember(index),
    "LONG_BINPUT": lambda machine, index: machine.remember(index),
    "BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "GLOBAL": lambda machine, name: machine.named(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.named(*[machine.pop(), machine.pop()][::-1]),
    "BINPERSID": lambda machine, _: machine.identified(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.drop_state(),
}
