// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_HTTP_SERVER_H_
#define KINSOCK_WEB_HTTP_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/event_loop.h"
#include "server/host/bound_socket.h"
#include "server/rpc/api_connections.h"
#include "server/rpc/api_listener.h"
#include "server/rpc/caller.h"
#include "web/http_app.h"

namespace kinsock {

// Serves HTTP on a thread of its own: an event loop, so that clients which do not read or do not ask cost a descriptor
// and nobody's time. One request for each connection. The bounds are in http_limits.h.
//
//     reading the head -> (answer) -> writing it ----------> waiting for the client's end
//                                      |      ^                        ^
//              a stream has nothing now v      | it has more           | it is over
//                                     waiting for its next piece ------'
//
// Each of these but the last has a deadline, after which the connection is closed, as after an error; one who is one
// too many is told so (503) and hung up on.
//
// Thread: the owner's, but for the callbacks, which run on the server's.
class HttpServer {
 public:
  using Identify = ApiListener::Identify;
  // The answer to a request. May block for kControlPatience. The streams that it gives out are gone when Stop() has
  // come to its end.
  using Answer = std::function<HttpOutput(std::string_view head, const Caller& caller)>;

  // For `socket`, which listens. `on_stopped` is called when Stop() has come to its end.
  HttpServer(BoundSocket socket, Identify identify, Answer answer, std::function<void()> on_stopped);
  // Stop() has come to its end, or nobody waits for the owner's thread.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Serves from here on. Once.
  void Start();

  // No more connections, and those that exist are closed. Does not wait.
  void Stop();

  // Of the server's thread; until on_stopped.
  EventLoop& loop() { return loop_; }

  // Any thread.
  size_t connections() const { return open_.load(std::memory_order_relaxed); }
  // Closed because they asked for nothing, or did not read, in time, or sent too much.
  uint64_t abandoned() const { return abandoned_.load(std::memory_order_relaxed); }
  // Told, or not, that there are too many connections, and closed.
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  // Answered 503 because too much was unread.
  uint64_t overloaded() const { return overloaded_.load(std::memory_order_relaxed); }

 private:
  class Connection;

  void Serve();
  void Admit(UniqueFd socket);
  void Refuse(UniqueFd socket);
  HttpOutput AnswerOf(std::string_view head, int fd);
  void Close(int fd);

  BoundSocket socket_;
  const Identify identify_;
  const Answer answer_;
  const std::function<void()> on_stopped_;
  EventLoop loop_;
  ApiConnections callers_;
  std::map<int, std::unique_ptr<Connection>> connections_;  // by descriptor; the server's thread
  size_t unread_bytes_ = 0;                                 // likewise
  size_t refusals_ = 0;                                     // likewise: of connections_, those that are refused
  std::atomic<size_t> open_{0};
  std::atomic<uint64_t> abandoned_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> overloaded_{0};
  std::thread thread_;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_HTTP_SERVER_H_
