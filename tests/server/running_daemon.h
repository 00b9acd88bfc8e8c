// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_RUNNING_DAEMON_H_
#define KINSOCK_TESTS_SERVER_RUNNING_DAEMON_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "api/google/rpc/error_details.pb.h"
#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "api/kinsock/v1/forward_service.grpc.pb.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "server/config/config.h"
#include "server/config/flag_config.h"
#include "tests/support/temp_dir.h"

namespace kinsock {

class Daemon;  // not included: its tests need not know what it is made of

namespace testing {

// All of kinsockd in the test's process, with its main thread in one of its own, an API socket in a directory of its
// own and clients of all its services. One at a time: it sets XDG_RUNTIME_DIR.
class RunningDaemon {
 public:
  // How long anything may take; only a hanging daemon meets it.
  static constexpr std::chrono::seconds kPatience{60};

  // `reread`: as Daemon has it. With `http`, it serves that at http_socket().
  explicit RunningDaemon(Config config = {}, std::function<ConfigReading()> reread = nullptr, bool http = false);
  ~RunningDaemon() { Stop(); }
  RunningDaemon(const RunningDaemon&) = delete;
  RunningDaemon& operator=(const RunningDaemon&) = delete;

  const absl::Status& started() const { return started_; }

  // As SIGTERM does.
  void Stop();

  // A path in the daemon's directory.
  std::string operator/(const std::string& name) const { return dir_ / name; }
  const std::string& directory() const { return dir_.path(); }
  std::string api_socket() const { return dir_ / "api.sock"; }
  std::string http_socket() const { return dir_ / "http.sock"; }

  v1::VmService::Stub& vms() { return *vms_; }
  v1::ConnectionService::Stub& connections() { return *connections_; }
  v1::NetworkService::Stub& networks() { return *networks_; }
  v1::ForwardService::Stub& forwards() { return *forwards_; }
  v1::AdminService::Stub& admin() { return *admin_; }
  std::shared_ptr<grpc::Channel> NewChannel() const;

  // Calls, with kPatience as their deadline.
  grpc::Status Create(const v1::CreateVmRequest& request, v1::Vm* vm = nullptr);
  grpc::Status Create(const std::string& id, uint32_t cid = 0, v1::Vm* vm = nullptr);
  grpc::Status Get(const std::string& name, v1::Vm* vm = nullptr);
  grpc::Status List(const v1::ListVmsRequest& request, v1::ListVmsResponse* page);
  grpc::Status Delete(const v1::DeleteVmRequest& request, v1::Vm* vm = nullptr);
  grpc::Status Delete(const std::string& id, bool force = false);
  v1::Info Info();

 private:
  TempDir dir_;
  Daemon* daemon_ = nullptr;  // lives on thread_
  absl::Status started_;
  std::thread thread_;
  std::unique_ptr<v1::VmService::Stub> vms_;
  std::unique_ptr<v1::ConnectionService::Stub> connections_;
  std::unique_ptr<v1::NetworkService::Stub> networks_;
  std::unique_ptr<v1::ForwardService::Stub> forwards_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

void SetDeadline(grpc::ClientContext& context);

// The reason that the daemon gave; empty when it gave none.
std::string Reason(const grpc::Status& status);
google::rpc::ErrorInfo Info(const grpc::Status& status);
google::rpc::BadRequest BadFields(const grpc::Status& status);

}  // namespace testing
}  // namespace kinsock

#endif  // KINSOCK_TESTS_SERVER_RUNNING_DAEMON_H_
