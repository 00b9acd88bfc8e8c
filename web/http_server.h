// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_HTTP_SERVER_H_
#define KINSOCK_WEB_HTTP_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "server/host/bound_socket.h"
#include "server/rpc/api_connections.h"
#include "server/rpc/api_listener.h"
#include "server/rpc/caller.h"
#include "web/http_app.h"

namespace kinsock {

// Serves HTTP on a thread of its own: an event loop, so that clients which do not read or do not ask cost a descriptor
// and nobody's time. What takes long to answer is worked out on a second one, a request after the other, so that
// nobody who asks whether the daemon lives waits for that. One request for each connection. The bounds are in
// http_limits.h.
//
//     reading the head -> its turn -> (answer) -> writing it ----------> waiting for the client's end
//             |                          ^         |      ^                        ^
//             '--------- at once --------'  a stream has   | it has more           | it is over
//                                          nothing now v   |                       |
//                                             waiting for its next piece ----------'
//
// Reading and writing have a deadline, after which the connection is closed, as after an error. One who is one too many
// takes the place of the one that has been silent for longest; if all have asked for something, he is told so (503) and
// hung up on.
//
// Thread: the owner's, but for the callbacks.
class HttpServer {
 public:
  using Identify = ApiListener::Identify;
  struct Answers {
    // The answer to a request, if it is to be had without waiting and at little cost; nothing: `slowly` has it. On the
    // server's thread. The streams that it gives out are gone when Stop() has come to its end.
    std::function<std::optional<HttpOutput>(std::string_view head, const Caller& caller)> at_once;
    // The answer to one who is one too many, if he gets one all the same: whether the daemon lives is asked by who
    // starts it anew, whatever others do. Likewise.
    std::function<std::optional<HttpOutput>(std::string_view head, const Caller& caller)> though_crowded;
    // The answer to any other, no stream. On the second thread; may block for kControlPatience.
    std::function<HttpOutput(std::string_view head, const Caller& caller)> slowly;
  };

  // For `socket`, which listens. `on_stopped` is called on the server's thread when Stop() has come to its end.
  HttpServer(BoundSocket socket, Identify identify, Answers answers, std::function<void()> on_stopped);
  // Stop() has come to its end, or nobody waits for the owner's thread.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Serves from here on. Once. Not OK: it cannot listen, the error says why and what to do, and Stop() is not called.
  absl::Status Start();

  // No more connections, and those that exist are closed. Does not wait.
  void Stop();

  // Of the server's thread; until on_stopped.
  EventLoop& loop() { return loop_; }

  // Any thread.
  size_t connections() const { return open_.load(std::memory_order_relaxed); }
  // Closed because they asked for nothing, or did not read, in time, or sent too much.
  uint64_t abandoned() const { return abandoned_.load(std::memory_order_relaxed); }
  // Told, or not, that there are too many connections, and closed; and those that were silent and gave their place.
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  // Answered 503 because too much was unread; what is answered at once is not.
  uint64_t overloaded() const { return overloaded_.load(std::memory_order_relaxed); }

 private:
  class Connection;
  // A request that has not had its turn.
  struct Waiting {
    int fd;
    uint64_t connection;  // the descriptor may be another's by then
    std::string head;
  };

  void Serve();
  void Admit(UniqueFd socket);
  void Refuse(UniqueFd socket);
  // Answers now, or later. False: the connection is to be closed.
  bool TakeRequest(Connection& connection, std::string head);
  void GoOn();
  void Finish(const Waiting& request, HttpOutput output);
  Connection* Find(const Waiting& request);
  Connection* LongestSilent(bool refused);
  Caller CallerOf(int fd) const;
  void Close(int fd);

  const Identify identify_;
  const Answers answers_;
  const std::function<void()> on_stopped_;
  EventLoop loop_;
  EventLoop work_;  // of the second thread
  ApiConnections callers_;
  ApiListener listener_;                                    // the server's thread's, from Start() on
  std::map<int, std::unique_ptr<Connection>> connections_;  // by descriptor; the server's thread
  size_t unread_bytes_ = 0;                                 // likewise
  size_t refusals_ = 0;                                     // likewise: of connections_, those that are refused
  uint64_t last_connection_ = 0;                            // likewise
  std::deque<Waiting> waiting_;                             // likewise: at most one of each connection
  bool working_ = false;                                    // likewise: the second thread has one
  std::atomic<size_t> open_{0};
  std::atomic<uint64_t> abandoned_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> overloaded_{0};
  std::thread thread_;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_HTTP_SERVER_H_
