// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_DAEMON_PROCESS_H_
#define KINSOCK_TESTS_SERVER_DAEMON_PROCESS_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>
#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {

// A kinsockd in a process of its own, with a state directory unless that is not wanted, which may be killed and started
// again on what it left.
class DaemonProcess {
 public:
  enum class State { kOnDisk, kInMemory };
  explicit DaemonProcess(State state = State::kOnDisk);

  // Starts it, with `flags` besides those for its API and its state, and waits until it serves. False: it ended
  // instead; errors() says why.
  bool Start(const std::vector<std::string>& flags = {});
  // Starts it and waits for nothing.
  void Launch(const std::vector<std::string>& flags = {});
  // SIGTERM, and waits for the end: the wait status.
  int Stop();
  // SIGKILL after `delay`, and waits for the end.
  void Kill(std::chrono::milliseconds delay = {});

  pid_t pid() const { return process_->pid(); }
  // What it wrote to standard error since Start().
  std::string errors() const { return process_->Stderr(); }

  std::string operator/(const std::string& name) const { return dir_ / name; }
  std::string state_file() const { return dir_ / "state/state.db"; }

  // Thread-safe, between Start() and the end; after the end, a call fails.
  v1::VmService::Stub& vms() { return *vms_; }
  // The connection of that; for other services.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Another one.
  std::shared_ptr<grpc::Channel> NewChannel() const;

  // Calls, with a deadline that only a hanging daemon meets.
  grpc::Status Create(const v1::CreateVmRequest& request, v1::Vm* vm = nullptr);
  grpc::Status Create(const std::string& id, uint32_t cid = 0, v1::Vm* vm = nullptr);
  grpc::Status Delete(const std::string& id);
  v1::Vm Get(const std::string& id);
  // All VMs, by id.
  std::map<std::string, v1::Vm> List();

 private:
  const State state_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::VmService::Stub> vms_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_DAEMON_PROCESS_H_
