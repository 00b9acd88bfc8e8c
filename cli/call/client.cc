// SPDX-License-Identifier: Apache-2.0
#include "cli/call/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "cli/call/endpoint_fault.h"
#include "cli/call/error_report.h"
#include "cli/call/reader_watch.h"
#include "server/host/runtime_dir.h"

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

using Interceptors = std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>;

std::shared_ptr<grpc::Channel> NewChannel(const Options& options, Interceptors interceptors) {
  using grpc::experimental::CreateCustomChannelWithInterceptors;
  if (IsUnix(options.endpoint)) {
    return CreateCustomChannelWithInterceptors(options.endpoint, grpc::InsecureChannelCredentials(), {},
                                               std::move(interceptors));
  }
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ContentsOf("--tls-ca", options.tls_ca);
  tls.pem_cert_chain = ContentsOf("--tls-cert", options.tls_cert);
  tls.pem_private_key = ContentsOf("--tls-key", options.tls_key);
  grpc::ChannelArguments arguments;
  if (!options.tls_server_name.empty()) arguments.SetSslTargetNameOverride(options.tls_server_name);
  return CreateCustomChannelWithInterceptors(options.endpoint, grpc::SslCredentials(tls), arguments,
                                             std::move(interceptors));
}

ExitCode Fail(ExitCode code, const std::string& what, const std::string& next) {
  std::fprintf(stderr, "kinsockctl: %s\n  try: %s\n", what.c_str(), next.c_str());
  return code;
}

}  // namespace

std::string DefaultEndpoint() {
  if (const char* chosen = std::getenv("KINSOCK_ENDPOINT"); chosen != nullptr && chosen[0] != '\0') return chosen;
  const std::string own = DefaultApiSocket();
  if (access(own.c_str(), F_OK) != 0 && access(kMachineSocket, F_OK) == 0) return absl::StrCat("unix:", kMachineSocket);
  return absl::StrCat("unix:", own);
}

Client::Client(const Options& options) : options_(options) {
  calls_.verbose = options.verbose;
  Interceptors interceptors = NoteCallsIn(calls_);
  interceptors.push_back(WatchReaderOfStreams());
  channel_ = NewChannel(options, std::move(interceptors));
  vms_ = v1::VmService::NewStub(channel_);
  connections_ = v1::ConnectionService::NewStub(channel_);
  networks_ = v1::NetworkService::NewStub(channel_);
  forwards_ = v1::ForwardService::NewStub(channel_);
  admin_ = v1::AdminService::NewStub(channel_);
}

void Client::SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds otherwise) const {
  context.set_deadline(std::chrono::system_clock::now() + options_.timeout.value_or(otherwise));
}

// gRPC says that it failed to connect; this says why.
ExitCode Client::ExplainUnavailable(const grpc::Status& status) const {
  const std::string& endpoint = options_.endpoint;
  if (!IsUnix(endpoint)) {
    return Fail(kExitUnavailable, absl::StrCat("no kinsockd talks to you at ", endpoint, ": ", status.error_message()),
                "whether it listens there, whether --tls-ca vouches for it, and its --tls-client-ca for --tls-cert");
  }
  const absl::StatusOr<std::string> path = ParseUnixEndpoint(endpoint);
  const std::optional<EndpointFault> fault = path.ok() ? FindEndpointFault(*path) : std::nullopt;
  if (fault.has_value()) return Fail(fault->code, fault->what, fault->next);
  return Fail(kExitUnavailable, absl::StrCat("the daemon at ", endpoint, " broke off: ", status.error_message()),
              "the same again, or look into its log");
}

ExitCode Client::ExplainDeadline() const {
  if (channel_->GetState(false) == GRPC_CHANNEL_READY) {
    return Fail(kExitDeadline, absl::StrCat("not done in time: ", calls_.last_ended), "a longer --timeout");
  }
  return Fail(
      kExitDeadline,
      absl::StrCat("what listens at ", options_.endpoint, " takes connections, and has not said a word in time"),
      "whether it is a kinsockd, and stopped or busy: ps -C kinsockd -o pid,stat,pcpu,args; its log; "
      "a longer --timeout");
}

ExitCode Client::ExplainUnimplemented() const {
  const std::string method = calls_.last_ended;  // another call follows
  grpc::ClientContext context;
  SetDeadline(context, kQuestionTimeout);
  v1::Info info;
  if (!admin_->GetInfo(&context, v1::GetInfoRequest(), &info).ok()) {
    return Fail(kExitError, absl::StrCat("what answers at ", options_.endpoint, " is no kinsockd: it has no ", method),
                "name another socket with --endpoint or KINSOCK_ENDPOINT");
  }
  return Fail(kExitError,
              absl::StrCat("the daemon at ", options_.endpoint, " is older than this command: version ", info.version(),
                           " has no ", method),
              absl::StrCat("upgrade kinsockd; this kinsockctl is ", kVersion));
}

ExitCode Client::Report(const grpc::Status& status) const {
  if (status.ok()) return kExitOk;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) {
    return ExplainUnavailable(status);
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return ExplainDeadline();
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return ExplainUnimplemented();
  std::fputs(DescribeError(status, options_.command).c_str(), stderr);
  return ExitCodeOf(status.error_code());
}

}  // namespace kinsock
