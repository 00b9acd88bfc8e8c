// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "cli/error_report.h"
#include "server/runtime_dir.h"

namespace kinsock {
namespace {

constexpr char kMachineSocket[] = "/run/kinsock/api.sock";

bool IsUnix(const std::string& endpoint) { return absl::StartsWith(endpoint, "unix:"); }

// Empty, and said why, when it cannot be read: what comes of it, the daemon's TLS will say, too.
std::string ContentsOf(const char* flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    std::fprintf(stderr, "kinsockctl: %s: %s cannot be read: %s\n", flag, path.c_str(), strerror(errno));
  }
  return text.str();
}

std::shared_ptr<grpc::Channel> NewChannel(const Options& options) {
  if (IsUnix(options.endpoint)) return grpc::CreateChannel(options.endpoint, grpc::InsecureChannelCredentials());
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ContentsOf("--tls-ca", options.tls_ca);
  tls.pem_cert_chain = ContentsOf("--tls-cert", options.tls_cert);
  tls.pem_private_key = ContentsOf("--tls-key", options.tls_key);
  grpc::ChannelArguments arguments;
  if (!options.tls_server_name.empty()) arguments.SetSslTargetNameOverride(options.tls_server_name);
  return grpc::CreateCustomChannel(options.endpoint, grpc::SslCredentials(tls), arguments);
}

// What the kernel says to a connection: 0, or an errno.
int TryToConnect(const std::string& path) {
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return 0;
  return errno == EAGAIN ? 0 : errno;
}

// gRPC says that it failed to connect; this says why.
ExitCode ExplainUnavailable(const std::string& endpoint, const grpc::Status& status) {
  if (!IsUnix(endpoint)) {
    std::fprintf(stderr,
                 "kinsockctl: no kinsockd talks to you at %s: %s\n"
                 "  try: whether it listens there, whether --tls-ca vouches for it, and its --tls-client-ca for "
                 "--tls-cert\n",
                 endpoint.c_str(), status.error_message().c_str());
    return kExitUnavailable;
  }
  const absl::StatusOr<std::string> path = ParseUnixEndpoint(endpoint);
  const int error = path.ok() ? TryToConnect(*path) : 0;
  if (error == 0) {
    std::fprintf(stderr, "kinsockctl: the daemon at %s broke off: %s\n  try: the same again, or look into its log\n",
                 endpoint.c_str(), status.error_message().c_str());
    return kExitUnavailable;
  }
  if (error == EACCES || error == EPERM) {
    std::fprintf(stderr,
                 "kinsockctl: %s does not let you in: %s\n  try: ls -l %s, and join its group or become its owner\n",
                 endpoint.c_str(), strerror(error), path->c_str());
    return kExitDenied;
  }
  std::fprintf(stderr,
               "kinsockctl: no kinsockd answers at %s: %s\n"
               "  try: kinsockd --api %s, or name another socket with --endpoint or KINSOCK_ENDPOINT\n",
               endpoint.c_str(), strerror(error), endpoint.c_str());
  return kExitUnavailable;
}

}  // namespace

std::string DefaultEndpoint() {
  if (const char* chosen = std::getenv("KINSOCK_ENDPOINT"); chosen != nullptr && chosen[0] != '\0') return chosen;
  const std::string own = DefaultApiSocket();
  if (access(own.c_str(), F_OK) != 0 && access(kMachineSocket, F_OK) == 0) return absl::StrCat("unix:", kMachineSocket);
  return absl::StrCat("unix:", own);
}

Client::Client(const Options& options) : options_(options) {
  channel_ = NewChannel(options);
  vms_ = v1::VmService::NewStub(channel_);
  connections_ = v1::ConnectionService::NewStub(channel_);
  networks_ = v1::NetworkService::NewStub(channel_);
  forwards_ = v1::ForwardService::NewStub(channel_);
  admin_ = v1::AdminService::NewStub(channel_);
}

void Client::SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds otherwise) const {
  context.set_deadline(std::chrono::system_clock::now() + options_.timeout.value_or(otherwise));
}

ExitCode Client::Report(const grpc::Status& status) const {
  if (status.ok()) return kExitOk;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) {
    return ExplainUnavailable(options_.endpoint, status);
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    std::fprintf(stderr, "kinsockctl: not done in time\n  try: a longer --timeout\n");
    return kExitDeadline;
  }
  std::fputs(DescribeError(status, options_.command).c_str(), stderr);
  return ExitCodeOf(status.error_code());
}

}  // namespace kinsock
