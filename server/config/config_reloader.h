// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_CONFIG_RELOADER_H_
#define KINSOCK_SERVER_CONFIG_CONFIG_RELOADER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "server/config/config.h"
#include "server/config/config_plan.h"
#include "server/config/flag_config.h"
#include "server/config/reload_report.h"
#include "server/manager/forward_manager.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_manager.h"

namespace kinsock {

// Reads the configuration again while the daemon runs, and has what is the configuration's become what it says. What
// was made by the API is left alone.
//
//     main:    Reload -> (thread: read) -> Plan -> settings -> phase by phase of the plan -> report
//
// The file is read and understood on a thread of its own: a slow file system, or a file of 16 MiB, holds up nobody.
// What is done is done by the managers as if the API had asked for it, so much at a time that the API is served
// meanwhile.
//
// Thread: main. The reading thread is waited for when this goes.
class ConfigReloader {
 public:
  // Calls of the managers that are under way at once, and at most begun in one turn of the loop: some milliseconds.
  static constexpr size_t kWindow = 64;
  // Of what is wrong and what was refused, lines in the log; the caller is told more.
  static constexpr size_t kMaxLogLines = 32;

  using Done = absl::AnyInvocable<void(const absl::StatusOr<ReloadReport>&)>;
  struct Hooks {
    // Has the settings hold that can be changed while the daemon runs; calls `done` when they do.
    std::function<void(const Config& config, EventLoop::Task done)> apply_settings;
    // For everybody who may want to know; not called for what is only looked at.
    std::function<void(const ReloadReport& report)> on_report;
    // Begins and ends; as above.
    std::function<void(bool under_way)> on_activity;
  };

  // `running`: with which the daemon was started. `reread`: null: there is no file. All outlive this.
  ConfigReloader(EventLoop& main, const Config& running, std::function<ConfigReading()> reread,
                 NetworkManager& networks, VmManager& vms, ForwardManager& forwards, std::string vms_dir, Hooks hooks);
  ~ConfigReloader();
  ConfigReloader(const ConfigReloader&) = delete;
  ConfigReloader& operator=(const ConfigReloader&) = delete;

  // FAILED_PRECONDITION NO_CONFIG_FILE; ABORTED CONCURRENT_CHANGE while another one is under way; UNAVAILABLE
  // SHUTTING_DOWN.
  void Reload(ReloadRequest request, Done done);

  // As SIGHUP asks for it: once more after the one that is under way, if there is one. The log tells of it.
  void ReloadSoon();

  // From here on nothing is begun any more; what is under way ends soon.
  void Close() { closed_ = true; }

  // What holds now of the settings.
  const Config& running() const { return running_; }

 private:
  struct Run;

  void OnRead(ConfigReading reading);
  void RunPhases();
  void Begin(const ConfigPlan::Step& step);
  void Make(const ConfigPlan::Step& step, std::function<void(const absl::Status&)> done);
  void Remove(const ConfigPlan::Step& step, std::function<void(const absl::Status&)> done);
  void OnStep(size_t change, const absl::Status& status);
  void Finish();

  EventLoop& main_;
  Config running_;  // without networks, policies, VMs and forwards
  const std::function<ConfigReading()> reread_;
  NetworkManager& networks_;
  VmManager& vms_;
  ForwardManager& forwards_;
  const std::string vms_dir_;
  const Hooks hooks_;
  bool closed_ = false;
  bool again_ = false;
  std::unique_ptr<Run> run_;  // null: nothing is under way
  std::thread reader_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_CONFIG_RELOADER_H_
