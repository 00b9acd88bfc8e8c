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
inline constexpr size_t kMaxApiConnectionsWithoutRole = 8;
// Connections of all users, so that no crowd of them eats the descriptors of VMs. Beyond: as above.
inline constexpr size_t kMaxApiConnections = 1024;
// Connections over TCP, whose callers are known only when TLS is through, and then to gRPC alone. Beyond: closed at
// once.
inline constexpr size_t kMaxTlsConnections = 256;
// How long a client has for its part of the TLS handshake. Beyond: hung up on.
inline constexpr std::chrono::seconds kTlsHandshake{10};
// How often certificates are looked at again.
inline constexpr std::chrono::seconds kTlsReload{2};
// Tunnels of one caller: a quarter of what the daemon has (Tunnels::kMaxTunnels). Programs that need a connection for
// each of their clients are served by a forward. Beyond: RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxTunnelsPerCaller = 32;
// Streams of one caller that stay open, watches of VMs mostly, of which the daemon has 1,024: an operator may watch a
// hundred things, and not take everybody's places. Beyond: RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxWatchesPerCaller = 256;
// The same for each kind of stream of which the daemon has only 64 (EventLog::kMaxWatches, ConnectionFeed::kMaxWatches,
// StatsStream::kMaxStreams): a few terminals and collectors of one user, and places for those of others. Beyond:
// RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxRareStreamsPerCaller = 16;
// Captures of one caller, half of those that the daemon has (Captures::kMaxCaptures): another one who looks for a fault
// at the same time finds a place. Beyond: RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxCapturesPerCaller = 2;
// Dumps of the configuration of one caller, of those that the daemon has (DumpCall::kMaxDumps). Beyond:
// RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxDumpsPerCaller = 2;
// Streams of one caller, or of all without a role, that ask for the schema: each holds an answer of some 400 KiB, and
// tools have one at a time. Beyond: RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxSchemaStreamsPerCaller = 8;
// Watches of health of one caller, at some 7 KiB each: gRPC's clients may have one for each connection. Beyond:
// RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxHealthWatchesPerCaller = kMaxApiConnectionsPerUid;
// The same of checks, as long as their client does not have the answer: they are answered at once, so that only answers
// that nobody reads are many. Beyond: as above.
inline constexpr size_t kMaxHealthChecksPerCaller = 128;
// A question for health: a service's name. gRPC's own service has the same bound. Beyond: INVALID_ARGUMENT.
inline constexpr size_t kMaxHealthQuestionBytes = 200;
// A question for the schema: a file's or a symbol's name. Beyond: INVALID_ARGUMENT.
inline constexpr size_t kMaxSchemaQuestionBytes = 4096;
// Calls with one answer that one connection has open: main has begun with them, and gRPC is not through with them. An
// operator's wait for the disk, which writes what has come meanwhile in one go; a viewer's are answered at once, so
// that only answers that nobody reads are many. Beyond: they wait (CallQueue).
inline constexpr size_t kMaxOpenCallsOfOperator = 64;
inline constexpr size_t kMaxOpenCallsOfViewer = 16;
// Bytes of answers that one connection has not read; one page more may be there. In memory they are several times as
// large. Beyond: its calls wait.
inline constexpr size_t kMaxUnreadBytes = 4u << 20;
// Calls of one connection that wait, at some 17 KiB each: gRPC takes no more. Beyond: RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxWaitingCalls = 1024;
// Bytes of the requests of one connection's calls, open and waiting: a thousand VMs with some annotations. Beyond:
// RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxHeldRequestBytes = 8u << 20;
// Each of these, times this, is what one caller may have on all his connections: a program that stalls leaves something
// to its user's others, and many connections are no way to have more. Beyond: as above.
inline constexpr size_t kConnectionsWorthOfACaller = 4;
// The same of all callers together: four times what one may have, or, of calls that are open, twice. What several
// callers do at the same time is not to become the daemon's memory. Beyond: as above, but for one call of each.
inline constexpr size_t kMaxOpenCallsOfAll = 512;
inline constexpr size_t kMaxUnreadBytesOfAll = 64u << 20;
inline constexpr size_t kMaxWaitingCallsOfAll = 8192;
inline constexpr size_t kMaxHeldRequestBytesOfAll = 64u << 20;
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
