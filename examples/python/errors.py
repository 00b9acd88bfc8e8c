# SPDX-License-Identifier: Apache-2.0
"""What an error of the API says, beyond its code."""

import grpc
from google.rpc import error_details_pb2, status_pb2


def reason(error: grpc.RpcError) -> str:
    """The reason for programs: it keeps its spelling, where the message may change. Empty: gRPC's own error."""
    info = error_details_pb2.ErrorInfo()
    return info.reason if _detail(error, info) else ""


def describe(error: grpc.RpcError) -> str:
    """Everything, for a person."""
    if error.code() == grpc.StatusCode.UNAVAILABLE and not reason(error):
        return f"no daemon answers: {error.details()}"
    lines = [f"{error.code().name} {reason(error)}: {error.details()}"]
    info = error_details_pb2.ErrorInfo()
    if _detail(error, info):
        lines += [f"  {key}: {value}" for key, value in sorted(info.metadata.items())]
    bad = error_details_pb2.BadRequest()
    if _detail(error, bad):  # all bad fields, not only the first
        lines += [f"  {violation.field}: {violation.description}" for violation in bad.field_violations]
    return "\n".join(lines)


def _detail(error: grpc.RpcError, wanted) -> bool:
    """Fills `wanted` with the detail of its type, if there is one.

    Details come in the trailing metadata, as a google.rpc.Status. The package grpcio-status does the same.
    """
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            return any(detail.Unpack(wanted) for detail in status.details)
    return False
