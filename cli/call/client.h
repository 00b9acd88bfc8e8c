// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_CLIENT_H_
#define KINSOCK_CLI_CALL_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>

#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "api/kinsock/v1/forward_service.grpc.pb.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "cli/call/call_log.h"
#include "cli/call/exit_code.h"
#include "cli/text/options.h"

namespace kinsock {

// A connection to the daemon, and what to say when it does not work.
class Client {
 public:
  explicit Client(const Options& options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  v1::VmService::Stub& vms() { return *vms_; }
  v1::ConnectionService::Stub& connections() { return *connections_; }
  v1::NetworkService::Stub& networks() { return *networks_; }
  v1::ForwardService::Stub& forwards() { return *forwards_; }
  v1::AdminService::Stub& admin() { return *admin_; }

  // Gives a call the time that the user allows, or `otherwise`.
  void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds otherwise) const;

  // Says on standard error what went wrong with the call that ended last.
  ExitCode Report(const grpc::Status& status) const;

 private:
  ExitCode ExplainUnavailable(const grpc::Status& status) const;
  ExitCode ExplainDeadline() const;
  ExitCode ExplainUnimplemented() const;

  const Options options_;
  CallLog calls_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::VmService::Stub> vms_;
  std::unique_ptr<v1::ConnectionService::Stub> connections_;
  std::unique_ptr<v1::NetworkService::Stub> networks_;
  std::unique_ptr<v1::ForwardService::Stub> forwards_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

// What a command takes that asks one question.
inline constexpr std::chrono::seconds kQuestionTimeout{10};

// Where a VM changes: sockets are made on the daemon's disk and its reactors acknowledge: far below, but not at once.
inline constexpr std::chrono::seconds kChangeTimeout{30};

// Where the daemon is when the user does not say: $KINSOCK_ENDPOINT, the user's own daemon if its socket is there, or
// the machine's.
std::string DefaultEndpoint();

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_CLIENT_H_
