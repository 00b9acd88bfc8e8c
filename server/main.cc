// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "server/config/config.h"
#include "server/config/config_places.h"
#include "server/config/flag_config.h"
#include "server/daemon/config_rehearsal.h"
#include "server/daemon/daemon.h"
#include "server/host/activated_sockets.h"
#include "server/host/log.h"
#include "server/host/process.h"

namespace {

// It could not start, for instance because another daemon runs.
constexpr int kCouldNot = 1;
// The command line or the configuration is wrong, whoever looks at it and when.
constexpr int kIsWrong = 2;

// A line for a person before the log runs, or after.
void Complain(const absl::Status& status) {
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    std::fprintf(stderr, "kinsockd: %.*s\n", static_cast<int>(line.size()), line.data());
  }
}

int Complain(const std::vector<kinsock::ConfigProblem>& problems) {
  for (const kinsock::ConfigProblem& problem : problems) {
    std::fprintf(stderr, "kinsockd: %s\n", problem.ToString().c_str());
  }
  return kIsWrong;
}

}  // namespace

int main(int argc, char** argv) {
  using Action = kinsock::CommandLine::Action;
  absl::StatusOr<kinsock::CommandLine> line = kinsock::ParseCommandLine(argc, argv);
  if (!line.ok()) {
    Complain(line.status());
    return kIsWrong;
  }
  if (!line->problems.empty()) return Complain(line->problems);
  if (line->action == Action::kPrint) {
    std::fputs(line->text.c_str(), stdout);
    return 0;
  }
  absl::StatusOr<std::vector<kinsock::ActivatedSocket>> activated = kinsock::TakeActivatedSockets();
  if (!activated.ok()) {
    Complain(activated.status());
    return kCouldNot;
  }
  const std::vector<kinsock::ConfigProblem> missing = kinsock::FindMissingPlaces(line->config, *activated);
  if (!missing.empty()) return Complain(missing);
  if (line->action == Action::kCheck) {
    const kinsock::Rehearsal rehearsal = kinsock::RehearseConfig(line->config);
    if (!rehearsal.unseen.empty()) {
      std::fprintf(stderr, "kinsockd: what the API has made was not looked at: %s\n", rehearsal.unseen.c_str());
    }
    if (!rehearsal.result.ok()) {
      Complain(rehearsal.result);
      return kIsWrong;
    }
    std::printf("the configuration is good: %zu VMs, %zu API sockets\n", line->config.vms.size(),
                line->config.api_sockets.size() + line->config.api_view_sockets.size() + line->config.api_tcp.size());
    return 0;
  }

  kinsock::PrepareProcess();
  kinsock::StartLogging(line->config.log_format);
  absl::Status started;
  {
    kinsock::Daemon daemon(std::move(line->config), std::move(line->reread), *std::move(activated));
    started = daemon.Start();
    if (started.ok()) daemon.Run();
    if (absl::IsCancelled(started)) {
      kinsock::Log(kinsock::LogLevel::kInfo, "daemon.not_started").With("reason", started.message());
    }
  }
  const bool told = kinsock::StopLogging();
  int status = 0;
  if (!started.ok() && !absl::IsCancelled(started)) {
    Complain(started);
    status = absl::IsInvalidArgument(started) ? kIsWrong : kCouldNot;
  }
  if (!told) _exit(status);
  return status;
}
