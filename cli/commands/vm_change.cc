// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/call/error_report.h"
#include "cli/commands/commands.h"
#include "cli/flags/quota_flags.h"
#include "cli/flags/readiness_flag.h"
#include "cli/flags/time_flag.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// What is merged into a VM is read first; somebody else may change it in between, so often in a row.
constexpr int kMergeAttempts = 5;

using Map = google::protobuf::Map<std::string, std::string>;

ExitCode Usage(const std::string& what) {
  std::fprintf(stderr, "kinsockctl: %s\n", what.c_str());
  return kExitUsage;
}

struct SetFlags {
  std::string name;
  std::vector<std::string> labels;
  std::vector<std::string> annotations;
  std::vector<std::string> groups;
  std::vector<std::string> quota;
  std::string orphan_ttl;
  std::string ready_when;
  std::string etag;
  bool validate_only = false;
};

// Puts "KEY=VALUE" into `map`, or takes "KEY-" out. Empty, or what is wrong.
std::string Merge(const char* flag, const std::vector<std::string>& changes, Map& map) {
  for (const std::string& change : changes) {
    const std::vector<std::string> parts = absl::StrSplit(change, absl::MaxSplits('=', 1));
    if (parts.size() == 2) {
      map[parts[0]] = parts[1];
    } else if (absl::EndsWith(change, "-")) {
      map.erase(change.substr(0, change.size() - 1));
    } else {
      return absl::StrCat(flag, ": \"", change, "\" is neither KEY=VALUE nor KEY-, which takes the key out");
    }
  }
  return "";
}

// Puts into `request` what replaces what there is, whatever that is. kExitOk, or said what is wrong.
ExitCode FillReplaced(const SetFlags& flags, v1::UpdateVmRequest& request) {
  google::protobuf::FieldMask& mask = *request.mutable_update_mask();
  v1::VmSpec spec;
  for (const std::string& group : flags.groups) spec.add_groups(group);
  if (!flags.groups.empty()) mask.add_paths("spec.groups");
  std::vector<std::string> limits;
  if (const std::string fault = ParseQuota(flags.quota, *spec.mutable_quota(), limits); !fault.empty()) {
    return Usage(fault);
  }
  for (const std::string& limit : limits) mask.add_paths("spec.quota." + limit);
  if (!flags.orphan_ttl.empty()) {
    const std::optional<std::chrono::milliseconds> time = TimeOf("--orphan-ttl", flags.orphan_ttl);
    if (!time.has_value()) return kExitUsage;
    SetDuration(*time, *spec.mutable_orphan_ttl());
    mask.add_paths("spec.orphan_ttl");
  }
  if (!flags.ready_when.empty()) mask.add_paths("spec.readiness");
  if (!flags.ready_when.empty() && flags.ready_when != "none" &&
      !ParseReadiness(flags.ready_when, *spec.mutable_readiness())) {
    return Usage(ReadinessFault(flags.ready_when, ", nor \"none\""));
  }
  *request.mutable_vm()->mutable_spec() = std::move(spec);
  request.set_validate_only(flags.validate_only);
  return kExitOk;
}

// Puts into `request` what is merged into `vm`. Empty, or what is wrong.
std::string FillMerged(const SetFlags& flags, const v1::Vm& vm, v1::UpdateVmRequest& request) {
  request.set_etag(flags.etag.empty() ? vm.etag() : flags.etag);
  v1::Vm& wanted = *request.mutable_vm();
  wanted.set_name(vm.name());
  *wanted.mutable_labels() = vm.labels();
  *wanted.mutable_annotations() = vm.annotations();
  if (!flags.labels.empty()) request.mutable_update_mask()->add_paths("labels");
  if (!flags.annotations.empty()) request.mutable_update_mask()->add_paths("annotations");
  const std::string fault = Merge("--labels", flags.labels, *wanted.mutable_labels());
  return fault.empty() ? Merge("--annotations", flags.annotations, *wanted.mutable_annotations()) : fault;
}

ExitCode Set(const SetFlags& flags, const Options& options) {
  if (flags.labels.empty() && flags.annotations.empty() && flags.groups.empty() && flags.quota.empty() &&
      flags.orphan_ttl.empty() && flags.ready_when.empty()) {
    return Usage("nothing to set; give --labels, --annotations, --groups, --quota, --ready-when or --orphan-ttl");
  }
  v1::UpdateVmRequest replaced;
  if (const ExitCode fault = FillReplaced(flags, replaced); fault != kExitOk) return fault;
  Client client(options);
  for (int attempt = 1;; ++attempt) {
    v1::GetVmRequest question;
    question.set_name(FullVmName(flags.name));
    v1::Vm vm;
    grpc::Status status = Ask(client, client.vms(), &v1::VmService::Stub::GetVm, question, vm);
    if (!status.ok()) return client.Report(status);
    v1::UpdateVmRequest request = replaced;
    if (const std::string fault = FillMerged(flags, vm, request); !fault.empty()) return Usage(fault);
    v1::Vm changed;
    status = Ask(client, client.vms(), &v1::VmService::Stub::UpdateVm, request, changed, kChangeTimeout);
    const bool overtaken = ErrorReasonOf(status) == "ETAG_MISMATCH" && flags.etag.empty();
    if (overtaken && attempt < kMergeAttempts) continue;
    if (!status.ok()) return client.Report(status);
    Print(RenderVm(changed, options));
    return kExitOk;
  }
}

}  // namespace

void DeclareVmChangeCommands(CLI::App& vm, Command& command) {
  CLI::App* set = vm.add_subcommand(
      "set", "Change labels, annotations, groups, quota or the orphan time of a VM; it keeps its connections");
  auto set_flags = std::make_shared<SetFlags>();
  set->add_option("NAME", set_flags->name, "Which VM")->required();
  set->add_option("--labels", set_flags->labels, "Set K to V, or take K out")->delimiter(',')->option_text("K=V,K-");
  set->add_option("--annotations", set_flags->annotations, "Likewise; may be repeated")->option_text("K=V|K-");
  set->add_option("--groups", set_flags->groups, "In place of those it has; for new connections")
      ->delimiter(',')
      ->option_text("A,B");
  set->add_option("--quota", set_flags->quota, "Set a limit, or take it out with 0; see vm create --help")
      ->delimiter(',')
      ->option_text("LIMIT=N[/BURST]");
  set->add_option("--ready-when", set_flags->ready_when, "What makes it GuestReady, as in vm create; none: nobody says")
      ->option_text("connects:N|probe:N|notify:N|none");
  set->add_option("--orphan-ttl", set_flags->orphan_ttl, "Delete it when no VMM is connected for so long; 0: never")
      ->option_text("30s|2m|0");
  set->add_option("--etag", set_flags->etag, "Only if this is its etag")->option_text("ETAG");
  set->add_flag("--validate-only", set_flags->validate_only, "Check everything, change nothing");
  set->callback(
      [set_flags, &command] { command = [set_flags](const Options& options) { return Set(*set_flags, options); }; });
  DeclareApply(vm, "The same as kinsockctl apply", command);
}

}  // namespace kinsock
