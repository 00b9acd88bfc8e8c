// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_LIMITS_H_
#define KINSOCK_SERVER_RPC_API_LIMITS_H_

#include <chrono>
#include <cstddef>

namespace kinsock {

// What one API client, or all of them, may take.

// Connections of one user id: each costs two descriptors and some 40 KiB. Programs need one; a person at a shell
// opens one per command. Beyond: closed at once, and counted in the log.
inline constexpr size_t kMaxApiConnectionsPerUid = 128;
// Connections of callers without any role: they may come, to be told what they lack, but not take the places of those
// who have one. Beyond: as above.
inline constexpr size_t kMaxApiConnectionsWithoutRole = 32;
// Connections of all users, so that no crowd of them eats the descriptors of VMs. Beyond: as above.
inline constexpr size_t kMaxApiConnections = 1024;
// Connections over TCP, whose callers are known only when TLS is through, and then to gRPC alone. Beyond: closed at
// once.
inline constexpr size_t kMaxTlsConnections = 256;
// How long a client has for its part of the TLS handshake. Beyond: hung up on.
inline constexpr std::chrono::seconds kTlsHandshake{10};
// How often certificates are looked at again.
inline constexpr std::chrono::seconds kTlsReload{2};
// Streams of one caller that stay open, watches of VMs mostly, of which the daemon has 1,024: an operator may watch a
// hundred things, and not take everybody's places. Beyond: RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxWatchesPerCaller = 256;
// The same for each kind of stream of which the daemon has only 64 (EventLog::kMaxWatches, ConnectionFeed::kMaxWatches,
// StatsStream::kMaxStreams): a few terminals and collectors of one user, and places for those of others. Beyond:
// RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxRareStreamsPerCaller = 16;
// Calls at a time on one connection: an operator may watch a thousand things. Beyond: they queue at the client.
inline constexpr int kMaxStreamsPerConnection = 1024;
// The largest legal request, a VM with all its annotations, is far below. Beyond: RESOURCE_EXHAUSTED by gRPC.
inline constexpr int kMaxRequestBytes = 4 << 20;
// What gRPC may hold for all clients together, as far as it counts that: a thousand watches of large VMs need a tenth.
// Beyond: it reads no more until it holds less, and hangs up on the largest.
inline constexpr size_t kMaxApiBytes = 256u << 20;
// Headers of one call. Beyond: refused by gRPC.
inline constexpr int kMaxMetadataBytes = 8 << 10;
// A client that is gone without a word is found out after this and half of it again.
inline constexpr std::chrono::seconds kKeepalive{60};
// Clients may ping this often without being cut off.
inline constexpr std::chrono::seconds kMinPingInterval{10};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_API_LIMITS_H_
