// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_reloader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/host/log.h"
#include "server/manager/vm_refusals.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

absl::Status NoConfigFile() {
  return Error(
      absl::StatusCode::kFailedPrecondition, "NO_CONFIG_FILE",
      "the daemon was started without a configuration file, and has none to read again; start it with --config");
}

absl::Status ReloadUnderWay() {
  return Error(absl::StatusCode::kAborted, "CONCURRENT_CHANGE",
               "the configuration is being read again at this moment; try again when that is done")
      .RetryAfter(std::chrono::milliseconds(100));
}

void LogReport(const ReloadReport& report) {
  size_t lines = 0;
  for (const ConfigProblem& problem : report.problems) {
    if (++lines > ConfigReloader::kMaxLogLines) break;
    Log(LogLevel::kError, "config.wrong")
        .With("place", problem.place)
        .With("field", problem.field)
        .With("reason", problem.what);
  }
  for (const ConfigChange& change : report.changes) {
    if (change.status.ok() || ++lines > ConfigReloader::kMaxLogLines) continue;
    Log(LogLevel::kWarning, "config.not_applied")
        .With("object", change.name)
        .With("place", change.place)
        .With("reason", change.status.message());
  }
  if (!report.applied) {
    Log(LogLevel::kError, "config.refused")
        .With("file", report.file)
        .With("problems", static_cast<int64_t>(report.problems.size()));
    return;
  }
  const size_t refused = report.refused();
  Log(refused == 0 ? LogLevel::kInfo : LogLevel::kWarning, "config.reloaded")
      .With("file", report.file)
      .With("changed", static_cast<int64_t>(report.changes.size() - refused))
      .With("unchanged", static_cast<int64_t>(report.unchanged))
      .With("refused", static_cast<int64_t>(refused))
      .With("restart_required", absl::StrJoin(report.restart_required, ","));
}

}  // namespace

// One reading, and what follows from it.
struct ConfigReloader::Run {
  ReloadRequest request;
  Done done;
  Config config;
  ConfigPlan plan;
  ReloadReport report;
  size_t phase = 0;
  size_t next = 0;  // of the phase
  size_t under_way = 0;
  bool posted = false;  // RunPhases() will be called
};

ConfigReloader::ConfigReloader(EventLoop& main, const Config& running, std::function<ConfigReading()> reread,
                               NetworkManager& networks, VmManager& vms, ForwardManager& forwards, std::string vms_dir,
                               Hooks hooks)
    : main_(main),
      running_(running),
      reread_(std::move(reread)),
      networks_(networks),
      vms_(vms),
      forwards_(forwards),
      vms_dir_(std::move(vms_dir)),
      hooks_(std::move(hooks)) {
  running_.networks.clear();
  running_.policies.clear();
  running_.vms.clear();
  running_.forwards.clear();
}

ConfigReloader::~ConfigReloader() {
  if (reader_.joinable()) reader_.join();
}

void ConfigReloader::Reload(ReloadRequest request, Done done) {
  main_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (reread_ == nullptr) return done(NoConfigFile());
  if (run_ != nullptr) return done(ReloadUnderWay());
  run_ = std::make_unique<Run>();
  run_->request = request;
  run_->done = std::move(done);
  if (!request.validate_only) hooks_.on_activity(true);
  if (reader_.joinable()) reader_.join();  // it has posted what it had to say
  reader_ = std::thread([this] { main_.Post([this, reading = reread_()]() mutable { OnRead(std::move(reading)); }); });
}

void ConfigReloader::ReloadSoon() {
  if (run_ != nullptr) {
    again_ = true;
    return;
  }
  if (reread_ == nullptr) {
    // Who has asked, and may wait for the end of it, hears that there is nothing to do.
    hooks_.on_activity(true);
    hooks_.on_activity(false);
  }
  Reload({}, [](const absl::StatusOr<ReloadReport>& report) {
    if (!report.ok()) Log(LogLevel::kWarning, "config.not_reloaded").With("reason", report.status().message());
  });
}

void ConfigReloader::OnRead(ConfigReading reading) {
  run_->config = std::move(reading.config);
  run_->report.file = run_->config.file;
  run_->report.problems = std::move(reading.problems);
  if (!run_->report.problems.empty()) return Finish();
  run_->plan = PlanConfig(run_->config, run_->request, networks_, vms_, forwards_, vms_dir_);
  run_->report.changes = std::move(run_->plan.changes);
  run_->report.unchanged = run_->plan.unchanged;
  run_->report.restart_required = SettingsThatNeedARestart(running_, run_->config);
  if (run_->request.validate_only) return Finish();
  run_->report.applied = true;
  hooks_.apply_settings(run_->config, [this] {
    running_.socket_dirs = run_->config.socket_dirs;
    running_.api_roles = run_->config.api_roles;
    running_.quota = run_->config.quota;
    RunPhases();
  });
}

void ConfigReloader::RunPhases() {
  size_t begun = 0;
  for (;;) {
    const std::vector<ConfigPlan::Step>& steps = run_->plan.phases[run_->phase];
    while (run_->next < steps.size() && run_->under_way < kWindow && begun < kWindow) {
      ++begun;
      ++run_->under_way;
      Begin(steps[run_->next++]);
    }
    // Whatever ends goes on here.
    if (run_->next < steps.size() || run_->under_way > 0 || run_->posted) return;
    if (++run_->phase == ConfigPlan::kPhases) return Finish();
    run_->next = 0;
  }
}

// Begin() may call back at once; it never ends the run.
void ConfigReloader::OnStep(size_t change, const absl::Status& status) {
  --run_->under_way;
  if (!status.ok()) run_->report.changes[change].status = status;
  if (std::exchange(run_->posted, true)) return;
  main_.Post([this] {
    run_->posted = false;
    RunPhases();
  });
}

void ConfigReloader::Begin(const ConfigPlan::Step& step) {
  const auto done = [this, change = step.change](const absl::Status& status) { OnStep(change, status); };
  if (step.remove) return Remove(step, done);
  // What was to be replaced may not have gone.
  if (!run_->report.changes[step.change].status.ok()) return done(absl::OkStatus());
  Make(step, done);
}

void ConfigReloader::Remove(const ConfigPlan::Step& step, std::function<void(const absl::Status&)> done) {
  switch (step.kind) {
    case ConfigPlan::Kind::kNetwork: {
      NetworkDeletion deletion;
      deletion.id = step.id;
      deletion.allow_missing = true;
      deletion.configured = true;
      return networks_.Delete(std::move(deletion), [done](const auto& result) { done(result.status()); });
    }
    case ConfigPlan::Kind::kPolicy: {
      PolicyDeletion deletion;
      deletion.id = step.id;
      deletion.network = step.network;
      deletion.allow_missing = true;
      deletion.configured = true;
      return networks_.Delete(std::move(deletion), [done](const auto& result) { done(result.status()); });
    }
    case ConfigPlan::Kind::kVm: {
      VmDeletion deletion;
      deletion.id = step.id;
      deletion.force = run_->request.force;
      deletion.allow_missing = true;
      deletion.configured = true;
      return vms_.Delete(std::move(deletion), [done](const auto& result) { done(result.status()); });
    }
    case ConfigPlan::Kind::kForward: {
      ForwardDeletion deletion;
      deletion.id = step.id;
      deletion.allow_missing = true;
      deletion.configured = true;
      return forwards_.Delete(std::move(deletion), [done](const auto& result) { done(result.status()); });
    }
  }
}

void ConfigReloader::Make(const ConfigPlan::Step& step, std::function<void(const absl::Status&)> done) {
  const bool update = run_->report.changes[step.change].action == ConfigChange::Action::kUpdate;
  const auto answer = [done](const auto& result) { done(result.status()); };
  switch (step.kind) {
    case ConfigPlan::Kind::kNetwork: {
      NetworkCreation creation = run_->config.networks[step.configured].creation;
      creation.configured = true;
      const absl::StatusOr<NetworkSnapshot> there = networks_.Get(creation.id);
      if (!update || !there.ok() || !there->definition->configured) return networks_.Create(creation, answer);
      NetworkUpdate change;
      static_cast<MutationRequest&>(change) = creation;
      change.change = [spec = creation.spec](const NetworkSpec&) { return spec; };
      return networks_.Update(std::move(change), answer);
    }
    case ConfigPlan::Kind::kPolicy: {
      PolicyCreation creation = run_->config.policies[step.configured].creation;
      creation.configured = true;
      if (!update) return networks_.Create(std::move(creation), answer);
      PolicyUpdate change;
      static_cast<MutationRequest&>(change) = creation;
      change.change = [spec = creation.spec](const PolicySpec&) { return spec; };
      return networks_.Update(std::move(change), answer);
    }
    case ConfigPlan::Kind::kVm: {
      VmCreation creation = run_->config.vms[step.configured].creation;
      creation.configured = true;
      if (!update) return vms_.Create(std::move(creation), answer);
      VmApplication application;
      application.vm = std::move(creation);
      return vms_.Apply(std::move(application), answer);
    }
    case ConfigPlan::Kind::kForward: {
      ForwardCreation creation = run_->config.forwards[step.configured].creation;
      creation.configured = true;
      if (!update) return forwards_.Create(std::move(creation), answer);
      ForwardUpdate change;
      static_cast<MutationRequest&>(change) = creation;
      change.change = [spec = creation.spec](const ForwardSpec&) { return spec; };
      return forwards_.Update(std::move(change), answer);
    }
  }
}

void ConfigReloader::Finish() {
  // Whoever is told may begin the next one.
  const std::unique_ptr<Run> run = std::move(run_);
  if (!run->request.validate_only) {
    LogReport(run->report);
    hooks_.on_report(run->report);
    hooks_.on_activity(false);
  }
  run->done(run->report);
  if (std::exchange(again_, false) && !closed_) ReloadSoon();
}

}  // namespace kinsock
