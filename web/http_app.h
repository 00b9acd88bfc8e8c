// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_HTTP_APP_H_
#define KINSOCK_WEB_HTTP_APP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "server/rpc/caller.h"
#include "web/http_stream.h"

namespace kinsock {

// What somebody asks for.
struct HttpRequest {
  std::string path;
  std::multimap<std::string, std::string> parameters;
  std::string last_event_id;  // of the header Last-Event-ID
  Role role = Role::kNone;
  std::string peer;  // whose share it comes out of: "uid 1000", "tcp"

  // The first one of that name; empty: none.
  std::string Parameter(const std::string& name) const;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpReply {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  HttpHeaders headers;                           // besides those of every answer
  std::unique_ptr<HttpStream> stream = nullptr;  // what comes instead of a body; null: nothing
};

// The bytes of an answer, and what follows them.
struct HttpOutput {
  std::string bytes;
  std::unique_ptr<HttpStream> stream;  // null: nothing
};

// HTTP/1.1 (RFC 9112) without a network: the bytes of a request go in, the bytes of its answer come out. It reads only
// (GET and HEAD), nobody's browser is lured into it (Host is checked), and pages of it load nothing from elsewhere,
// run no script but their own and are in no frame (Content-Security-Policy). Ranges are not served: a request for many
// of them asks for many times the answer.
//
// Thread: one, but for counts().
class HttpApp {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;
  // By path, or "other", and status.
  using Counts = std::map<std::pair<std::string, int>, uint64_t>;

  // `check_host`: only requests whose Host is a name of the loopback are served; for TCP, where a page from elsewhere
  // may have its name resolve to this machine (DNS rebinding).
  explicit HttpApp(bool check_host);
  ~HttpApp();
  HttpApp(const HttpApp&) = delete;
  HttpApp& operator=(const HttpApp&) = delete;

  // Who may ask by which Host. kLoopback: for what a browser shows. Even where the socket is a file, a tunnel may end
  // in a port beside the browser of its user.
  enum class Hosts : uint8_t { kAny, kLoopback };

  // Serves `path`, which is taken to the letter.
  void Get(const std::string& path, Handler handler, Hosts hosts = Hosts::kAny);
  // Serves all paths that go on after `prefix`, which ends with a slash.
  void GetBelow(const std::string& prefix, Handler handler, Hosts hosts = Hosts::kAny);

  // Whether `head` asks for one of the paths of Get(), as it is written there. False: it may do so in other words.
  bool Serves(std::string_view head) const;

  // The answer to a request of which `head` is everything up to and with the empty line. The connection is closed after
  // it. `role`: what the client may; `peer`: HttpRequest::peer.
  HttpOutput Answer(std::string_view head, Role role, std::string peer = "");

  // Any thread.
  Counts counts() const {
    MutexLock lock(mutex_);
    return counts_;
  }

 private:
  class Parser;
  struct Route {
    Handler handler;
    Hosts hosts = Hosts::kAny;
  };

  mutable Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Parser> parser_;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_HTTP_APP_H_
