// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_FILE_DAEMON_H_
#define KINSOCK_TESTS_SERVER_FILE_DAEMON_H_

#include <grpcpp/support/status.h>

#include <memory>
#include <string>
#include <vector>

#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "tests/server/running_daemon.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {

// A RunningDaemon with a configuration file.
class FileDaemon {
 public:
  // `yaml`: of the file; ends the test if that is wrong, or nothing for a daemon to start with.
  explicit FileDaemon(const std::string& yaml);

  RunningDaemon& operator*() { return *daemon_; }
  RunningDaemon* operator->() { return daemon_.get(); }

  std::string file() const { return dir_ / "kinsock.yaml"; }
  // A path beside the file.
  std::string operator/(const std::string& name) const { return dir_ / name; }

  void Write(const std::string& yaml) const;

  grpc::Status Reload(const v1::ReloadRequest& request, v1::ReloadResponse& response);
  // Writes the file and has it read; ends the test if the daemon does not.
  v1::ReloadResponse Reload(const std::string& yaml, bool force = false);

  grpc::Status Dump(bool file_only, std::vector<v1::ConfigDump>& pieces);
  // The file that the pieces are; ends the test if there is none.
  std::string Dump(bool file_only = false);

  v1::Vm Get(const std::string& id);

 private:
  TempDir dir_;
  std::unique_ptr<RunningDaemon> daemon_;
};

// What came of each object, in words: "create vms/a", "delete vms/b: VM_ATTACHED".
std::vector<std::string> Changes(const v1::ReloadResponse& response);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_FILE_DAEMON_H_
