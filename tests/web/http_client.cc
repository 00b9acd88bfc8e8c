// SPDX-License-Identifier: Apache-2.0
#include "tests/web/http_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "tests/support/require.h"

namespace kinsock::testing {

UniqueFd HttpClient::Connect() const {
  UniqueFd fd(socket(port_ != 0 ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Require(fd.valid(), "no socket for a client of HTTP");
  const timeval patience{60, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (port_ != 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Require(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "nobody serves HTTP");
    return fd;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
  Require(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "nobody serves HTTP");
  return fd;
}

std::string HttpClient::ReadAll(const UniqueFd& connection) {
  std::string bytes;
  char chunk[65536];
  ssize_t count;
  while ((count = read(connection.get(), chunk, sizeof(chunk))) > 0) bytes.append(chunk, static_cast<size_t>(count));
  return bytes;
}

HttpAnswer HttpClient::Parse(const std::string& bytes) {
  HttpAnswer answer;
  const size_t end = bytes.find("\r\n\r\n");
  if (bytes.rfind("HTTP/1.1 ", 0) != 0 || end == std::string::npos) return answer;
  answer.status = std::atoi(bytes.c_str() + std::strlen("HTTP/1.1 "));
  answer.headers = bytes.substr(0, end + 2);
  answer.body = bytes.substr(end + 4);
  return answer;
}

HttpAnswer HttpClient::Send(const std::string& request) const {
  const UniqueFd connection = Connect();
  // One who is hung up on finds out by reading.
  if (send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
  return Parse(ReadAll(connection));
}

HttpAnswer HttpClient::Get(const std::string& target, const std::string& headers) const {
  return Send("GET " + target + " HTTP/1.1\r\n" + headers + "\r\n");
}

}  // namespace kinsock::testing
