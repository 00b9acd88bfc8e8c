// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <ctime>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/text/table.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;

std::string OutOf(uint64_t count, uint64_t limit) { return absl::StrCat(count, " of ", limit); }

ExitCode Info(const Options& options) {
  Client client(options);
  v1::Info info;
  const grpc::Status status = Ask(client, client.admin(), &v1::AdminService::Stub::GetInfo, v1::GetInfoRequest(), info);
  if (!status.ok()) return client.Report(status);
  if (ShowsMessage(options.format)) {
    Print(Render(info, options.format));
    return kExitOk;
  }
  if (options.format == OutputFormat::kName) {
    Print(info.instance_id() + "\n");
    return kExitOk;
  }
  Table table({"WHAT", "VALUE"});
  table.Add({"version", info.version()});
  table.Add({"instance", info.instance_id()});
  table.Add({"up", ShortAge(std::chrono::seconds(std::time(nullptr) - info.start_time().seconds()))});
  table.Add({"vms", OutOf(info.counts().vms(), info.limits().vms())});
  table.Add({"active vms", absl::StrCat(info.counts().active_vms())});
  table.Add({"watches", OutOf(info.counts().watches(), info.limits().watches())});
  table.Add({"api connections", absl::StrCat(info.counts().api_connections())});
  table.Add({"resting cids", absl::StrCat(info.counts().quarantined_cids())});
  table.Add({"reactors", absl::StrCat(info.counts().reactors())});
  table.Add({"draining", info.draining() ? "yes" : "no"});
  table.Add({"features", absl::StrJoin(info.features(), " ")});
  Print(table.Render(options));
  Table reactors({"REACTOR", "THREAD", "VMS", "CONNECTIONS", "CPU", "SLEEPS", "LAST-ROUND", "NOW"});
  for (const v1::Reactor& reactor : info.reactors()) {
    reactors.Add({absl::StrCat(reactor.index()), absl::StrCat(reactor.thread_id()), absl::StrCat(reactor.vms()),
                  absl::StrCat(reactor.connections()), TimeUtil::ToString(reactor.cpu_time()),
                  absl::StrCat(reactor.sleeps()), TimeUtil::ToString(reactor.since_last_round()) + " ago",
                  reactor.asleep() ? "asleep" : "awake"});
  }
  Print("\n" + reactors.Render(options));
  return kExitOk;
}

}  // namespace

void DeclareInfo(CLI::App& app, Command& command) {
  app.add_subcommand("info", "Show which daemon this is and how full it is")->callback([&command] { command = Info; });
}

}  // namespace kinsock
