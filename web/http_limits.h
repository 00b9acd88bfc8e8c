// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_HTTP_LIMITS_H_
#define KINSOCK_WEB_HTTP_LIMITS_H_

#include <chrono>
#include <cstddef>

namespace kinsock {

// What one client of the HTTP socket, or all of them, may take.

// Connections of one user id. A browser keeps six, a scraper one. Beyond: the place of a silent one, or 503
// (kMaxHttpRefusals).
inline constexpr size_t kMaxHttpConnectionsPerUid = 64;
// Connections over TCP, whose users nobody knows. Beyond: as above.
inline constexpr size_t kMaxHttpTcpConnections = 64;
// Connections of all: a descriptor and the head of a request each. Beyond: as above.
inline constexpr size_t kMaxHttpConnections = 128;
// Of those that are beyond, so many at a time are told so before they are closed: 503. Beyond: those that are silent
// for longest are closed without a word.
inline constexpr size_t kMaxHttpRefusals = 64;
// How long one of these may take to ask, and to read that. Beyond: closed.
inline constexpr std::chrono::seconds kHttpRefusalTime{2};
// The request line and its headers; browsers send less than a tenth. Beyond: 431, by closing.
inline constexpr size_t kMaxHttpHeadBytes = 8192;
// How long a client may take to say what it wants. Beyond: closed.
inline constexpr std::chrono::seconds kHttpRequestTime{5};
// How long it may take to read the answer. Beyond: closed.
inline constexpr std::chrono::seconds kHttpAnswerTime{10};
// Answers that are not read yet, of all clients: those of one scrape of 16,384 VMs fit. Beyond: 503 until some are.
inline constexpr size_t kMaxHttpUnreadBytes = 96u << 20;
// How long the daemon's main thread may take to say how things are. Beyond: 503.
inline constexpr std::chrono::milliseconds kControlPatience{2000};
// Of this age, what was said to one client is still good for another: however many ask, the main thread is asked
// ten times a second at most.
inline constexpr std::chrono::milliseconds kSampleAge{100};

// The text of the metrics is good for who asks next for so many times what it took to make: a fifth of a processor goes
// to it, however many ask.
inline constexpr int kMetricsRest = 4;

// --- What the page reads ---

// Of this age, an answer in JSON is still good for another who asks the same: many pages that look once a second cost
// as much as two.
inline constexpr std::chrono::milliseconds kJsonAge{500};
// Questions in a second that are not answered so, for each costs the main thread, and some the reactors; a page asks
// three. After a pause kJsonQuestionBurst at once. Beyond: 503 with Retry-After.
inline constexpr uint64_t kJsonQuestionsPerSecond = 30;
inline constexpr uint64_t kJsonQuestionBurst = 90;
// Answers in JSON that are kept for this, and their bytes, that of 1,000 VMs with statistics being some 3 MiB. Beyond:
// the oldest goes, and is asked for again.
inline constexpr size_t kMaxKeptJson = 64;
inline constexpr size_t kMaxKeptJsonBytes = 16u << 20;
// Of each second, what the thread of HTTP may spend before it refuses to answer in JSON: a quarter of a processor,
// whoever asks, and for a moment (kJsonBurst) more. Beyond: 503 with Retry-After. Metrics and health are not refused.
inline constexpr double kJsonShare = 0.25;
inline constexpr std::chrono::milliseconds kJsonBurst{1000};
// Streams of events, which are connections that stay: of all, and of one user id, or of all who come over TCP. A
// browser's pages share one. Beyond: 503 with Retry-After.
inline constexpr size_t kMaxEventStreams = 48;
inline constexpr size_t kMaxEventStreamsPerPeer = 24;
// Events that are handed to a stream at a time.
inline constexpr size_t kEventsPerPiece = 64;
// A stream in which nothing happens says so, that both ends know that the other lives.
inline constexpr std::chrono::seconds kEventHeartbeat{10};

}  // namespace kinsock

#endif  // KINSOCK_WEB_HTTP_LIMITS_H_
