// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_FORWARD_ADDRESS_H_
#define KINSOCK_SERVER_MODEL_FORWARD_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "device/host_endpoint.h"

namespace kinsock {

// Where a forward listens or leads on the host, as its text says it: "unix:/path", "tcp:127.0.0.1:PORT",
// "tcp:[::1]:PORT". Only the loopback: what a guest, or a program that reaches one, may do is no affair of the network.
// Pure functions; any thread.

// INVALID_ARGUMENT: what is wrong and what would be right, in words that follow a field's name.
absl::StatusOr<HostEndpoint> ParseForwardAddress(std::string_view text);

// How the registry of sockets knows it: the canonical path, or "tcp:ADDRESS:PORT" in one spelling.
std::string PlaceOf(const HostEndpoint& endpoint);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_FORWARD_ADDRESS_H_
