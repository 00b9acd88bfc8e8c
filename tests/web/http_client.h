// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_WEB_HTTP_CLIENT_H_
#define KINSOCK_TESTS_WEB_HTTP_CLIENT_H_

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace kinsock::testing {

struct HttpAnswer {
  int status = 0;  // 0: none came
  std::string headers;
  std::string body;
};

// A client of HTTP as simple as they come: one request for each connection, sent to the letter.
class HttpClient {
 public:
  // Of the UNIX socket at `path`.
  explicit HttpClient(std::string path) : path_(std::move(path)) {}
  // Of a port of 127.0.0.1.
  explicit HttpClient(uint16_t port) : port_(port) {}

  // A connection, blocking; reading gives up after a minute.
  UniqueFd Connect() const;

  // Sends `request` and reads until the other end closes.
  HttpAnswer Send(const std::string& request) const;
  HttpAnswer Get(const std::string& target, const std::string& headers = "Host: localhost\r\n") const;

  // Everything that comes until the other end closes.
  static std::string ReadAll(const UniqueFd& connection);
  static HttpAnswer Parse(const std::string& bytes);

 private:
  std::string path_;
  uint16_t port_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_WEB_HTTP_CLIENT_H_
