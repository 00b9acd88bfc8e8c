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

#include "server/caller.h"

namespace kinsock {

// What somebody asks for.
struct HttpRequest {
  std::string path;
  std::multimap<std::string, std::string> parameters;
  Role role = Role::kNone;

  // The first one of that name; empty: none.
  std::string Parameter(const std::string& name) const;
};

struct HttpReply {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

// HTTP/1.1 (RFC 9112) without a network: the bytes of a request go in, the bytes of its answer come out. It reads only
// (GET and HEAD), nobody's browser is lured into it (Host is checked), and pages of it load nothing from elsewhere
// (Content-Security-Policy). Ranges are not served: a request for many of them asks for many times the answer.
//
// Thread: one.
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

  // Serves `path`, which is taken to the letter.
  void Get(const std::string& path, Handler handler);

  // The answer to a request of which `head` is everything up to and with the empty line. The connection is closed after
  // it. `role`: what the client may.
  std::string Answer(std::string_view head, Role role);

  const Counts& counts() const { return counts_; }

 private:
  class Parser;

  Counts counts_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_HTTP_APP_H_
