// SPDX-License-Identifier: Apache-2.0
#include "web/http_app.h"

#include <httplib.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/text.h"

namespace kinsock {
namespace {

// A request that is there already, and an answer that is kept.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view input) : input_(input) {}

  bool is_readable() const override { return !input_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* data, size_t size) override {
    const size_t count = std::min(size, input_.size());
    std::memcpy(data, input_.data(), count);
    input_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* data, size_t size) override {
    output_.append(data, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

  std::string TakeOutput() { return std::move(output_); }

 private:
  std::string_view input_;
  std::string output_;
};

// "localhost", "127.0.0.1" or "[::1]", with or without a port.
bool IsLoopbackHost(const std::string& host) {
  absl::string_view name = host;
  const size_t colon = name.rfind(':');
  if (colon != absl::string_view::npos && name.find(']', colon) == absl::string_view::npos) {
    const absl::string_view port = name.substr(colon + 1);
    if (!std::all_of(port.begin(), port.end(), absl::ascii_isdigit)) return false;
    name = name.substr(0, colon);
  }
  return absl::EqualsIgnoreCase(name, "localhost") || name == "127.0.0.1" || name == "[::1]";
}

httplib::Headers SafeHeaders() {
  return {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cache-Control", "no-store"},
  };
}

// The library reads Range by a regular expression that recurses for each digit, before anybody is asked who he is;
// nothing here has ranges.
std::string WithoutRange(std::string_view head) {
  std::string kept;
  while (!head.empty()) {
    const size_t end = std::min(head.find('\n'), head.size() - 1) + 1;
    const std::string_view line = head.substr(0, end);
    if (!absl::StartsWithIgnoreCase(AbslView(line), "range")) kept.append(line);
    head.remove_prefix(end);
  }
  return kept;
}

constexpr char kText[] = "text/plain; charset=utf-8";

}  // namespace

// The library's own loop of threads and sockets is not used: a client that does not read would hold one of its threads.
class HttpApp::Parser final : public httplib::Server {
 public:
  explicit Parser(bool check_host) {
    set_default_headers(SafeHeaders());
    set_pre_routing_handler([this, check_host](const httplib::Request& request, httplib::Response& response) {
      const std::string* path = nullptr;
      const Route* route = FindRoute(request.path, path);
      const bool for_loopback = check_host || (route != nullptr && route->hosts == Hosts::kLoopback);
      if (for_loopback && !IsLoopbackHost(request.get_header_value("Host"))) {
        response.status = 403;
        response.set_content("This is served to http://localhost and http://127.0.0.1 only.\n", kText);
        return HandlerResponse::Handled;
      }
      if (role_ < Role::kViewer) {
        response.status = 403;
        response.set_content("You need the role viewer; see --api-role.\n", kText);
        return HandlerResponse::Handled;
      }
      if (request.method != "GET" && request.method != "HEAD") {
        response.status = 405;
        response.set_header("Allow", "GET, HEAD");
        response.set_content("Nothing can be changed here; use the API.\n", kText);
        return HandlerResponse::Handled;
      }
      route != nullptr ? Serve(*route, request, response) : SayNothingIsHere(response);
      return HandlerResponse::Handled;
    });
    set_exception_handler(
        [](const httplib::Request&, httplib::Response& response, std::exception_ptr) { response.status = 500; });
  }

  // The library's own routes are regular expressions, whose time and stack a client would choose by his path.
  void Add(const std::string& path, Route route) { routes_[path] = std::move(route); }

  bool Serves(const std::string& path) const { return routes_.count(path) != 0; }

  struct Answered {
    HttpOutput output;
    std::string path;  // or "other"
    int status = 400;
  };
  Answered Answer(std::string_view head, Role role, std::string peer) {
    role_ = role;
    peer_ = std::move(peer);
    std::string path = "other";
    int status = 400;
    set_logger([&](const httplib::Request& request, const httplib::Response& response) {
      const std::string* served = nullptr;
      if (FindRoute(request.path, served) != nullptr) path = *served;
      status = response.status;
    });
    const std::string harmless = WithoutRange(head);
    MemoryStream stream(harmless);
    bool closed = false;
    process_request(stream, true, closed, [](httplib::Request& request) {
      // Brotli, which browsers ask for, takes the library a hundred times as long as all the rest.
      request.headers.erase("Accept-Encoding");
    });
    set_logger(nullptr);
    return {{stream.TakeOutput(), std::exchange(stream_, nullptr)}, std::move(path), status};
  }

 private:
  // The route of `path`, or of all below a part of it, which is said in `served`. Null: there is none.
  const Route* FindRoute(const std::string& path, const std::string*& served) const {
    auto found = routes_.find(path);
    if (found == routes_.end()) {
      // Only paths that end with a slash have others below them.
      found = routes_.find(path.substr(0, path.rfind('/') + 1));
      if (found == routes_.end() || path.size() == found->first.size() || found->first == "/") return nullptr;
    } else if (path.size() > 1 && path.back() == '/') {
      return nullptr;  // the prefix alone
    }
    served = &found->first;
    return &found->second;
  }

  void Serve(const Route& route, const httplib::Request& request, httplib::Response& response) {
    const HttpRequest asked{.path = request.path,
                            .parameters = request.params,
                            .last_event_id = request.get_header_value("Last-Event-ID"),
                            .role = role_,
                            .peer = peer_};
    HttpReply reply = route.handler(asked);
    response.status = reply.status;
    for (const auto& [name, value] : reply.headers) response.set_header(name, value);
    if (reply.stream == nullptr) return response.set_content(std::move(reply.body), reply.type);
    // The library writes the head, without a length: the end of the connection is that of the stream (RFC 9112, 6.3).
    response.set_content_provider(reply.type, [](size_t, httplib::DataSink& sink) {
      sink.done();
      return true;
    });
    if (request.method == "GET") stream_ = std::move(reply.stream);
  }

  static void SayNothingIsHere(httplib::Response& response) {
    response.status = 404;
    response.set_content("Nothing is here; see docs/observability.md.\n", kText);
  }

  std::map<std::string, Route> routes_;  // by path; one that ends with a slash is of all paths below
  Role role_ = Role::kNone;
  std::string peer_;
  std::unique_ptr<HttpStream> stream_;  // of the answer under way
};

std::string HttpRequest::Parameter(const std::string& name) const {
  const auto found = parameters.find(name);
  return found != parameters.end() ? found->second : "";
}

HttpApp::HttpApp(bool check_host) : parser_(std::make_unique<Parser>(check_host)) {}
HttpApp::~HttpApp() = default;

void HttpApp::Get(const std::string& path, Handler handler, Hosts hosts) {
  parser_->Add(path, {std::move(handler), hosts});
}

void HttpApp::GetBelow(const std::string& prefix, Handler handler, Hosts hosts) {
  parser_->Add(prefix, {std::move(handler), hosts});
}

bool HttpApp::Serves(std::string_view head) const {
  const size_t begin = head.find(' ');
  if (begin == std::string_view::npos) return false;
  const size_t end = head.find_first_of(" ?\r\n", begin + 1);
  return parser_->Serves(std::string(head.substr(begin + 1, end == std::string_view::npos ? end : end - begin - 1)));
}

HttpOutput HttpApp::Answer(std::string_view head, Role role, std::string peer) {
  Parser::Answered answered = parser_->Answer(head, role, std::move(peer));
  MutexLock lock(mutex_);
  ++counts_[{std::move(answered.path), answered.status}];
  return std::move(answered.output);
}

}  // namespace kinsock
