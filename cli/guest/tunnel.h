// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_GUEST_TUNNEL_H_
#define KINSOCK_CLI_GUEST_TUNNEL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>

#include "api/kinsock/v1/connection_service.grpc.pb.h"

namespace kinsock {

// What is joined to a port of a guest.
struct TunnelEnds {
  int in = -1;   // read to its end
  int out = -1;  // written to; may be the same
  // Readable when a socket `out` that takes nothing is not to be waited for any more; -1: never.
  int stop = -1;
  // The guest sends no more: closes `out`, or that way of it. The other way goes on.
  std::function<void()> end_output;
};

struct TunnelOutcome {
  grpc::Status status;  // of the call
  bool opened = false;  // the connection was made
  int error = 0;        // the errno that broke `in` or `out`, for which the connection was reset; 0: none
};

// Copies between `ends` and a port of a guest, through the API, until both ways have ended or the call has:
//
//     in  --- end of file: half_close, the other way goes on ---> Tunnel
//     out <-- half_close: end_output, the other way goes on ----- Tunnel
//
// Each way holds one frame (64 KiB) and what gRPC has under way, and waits for its reader; neither waits for the other.
// The call ends both at once, also while `in` is a terminal at which nobody types. Neither descriptor is closed here.
//
// Thread: any; it starts one. `context` is that of no call yet; whoever cancels it ends this.
TunnelOutcome RunTunnel(v1::ConnectionService::Stub& stub, grpc::ClientContext& context, const v1::TunnelOpen& where,
                        const TunnelEnds& ends);

}  // namespace kinsock

#endif  // KINSOCK_CLI_GUEST_TUNNEL_H_
