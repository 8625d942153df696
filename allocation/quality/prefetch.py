"""Telling the processor which row of a table a compiled loop will want soon.

A loop over answers reads rows at random from tables that may be larger than a core's own cache. The
processor waits for most of them, as it cannot know the next rows; the loop can.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

_BYTE, _HINT = ir.IntType(8).as_pointer(), ir.IntType(32)
_TO_READ, _KEEP, _DATA = 0, 3, 1


def prefetch(table: Any, row: Any) -> None:
    """Ask for the beginning of `table[row]`, of a matrix, without waiting for it.

    `row` must lie in the table, and may not be counted from its end. Changes no result; code that
    is not compiled gets nothing of it.
    """


@overload(prefetch)
def _prefetch_of(table: Any, row: Any) -> Any:  # noqa: ARG001 (numba names them)
    def compiled(table: Any, row: Any) -> Any:
        _instruction(table, row)  # type: ignore[call-arg] # the first is given by numba

    return compiled


@intrinsic
def _instruction(typing_context: Any, table: Any, row: Any) -> Any:  # noqa: ARG001 (as above)
    def compiled(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix, integer = signature.args
        array = context.make_array(matrix)(context, builder, arguments[0])
        index = context.cast(builder, arguments[1], integer, types.intp)
        stride = builder.extract_value(array.strides, 0)
        begin = builder.ptrtoint(array.data, index.type)
        byte = builder.inttoptr(builder.add(begin, builder.mul(index, stride)), _BYTE)
        kind = ir.FunctionType(ir.VoidType(), [_BYTE, _HINT, _HINT, _HINT])
        instruction = builder.module.declare_intrinsic("llvm.prefetch", [_BYTE], kind)
        builder.call(instruction, [byte, _HINT(_TO_READ), _HINT(_KEEP), _HINT(_DATA)])
        return context.get_dummy_value()

    return types.void(table, row), compiled
