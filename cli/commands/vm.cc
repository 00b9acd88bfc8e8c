// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/cid_flag.h"
#include "cli/flags/network_name.h"
#include "cli/flags/quota_flags.h"
#include "cli/flags/readiness_flag.h"
#include "cli/flags/socket_access_flags.h"
#include "cli/flags/time_flag.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/top/vm_progress.h"
#include "cli/top/vm_rates.h"
#include "cli/view/stats_view.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

struct CreateFlags {
  std::string name;
  std::string network;
  std::string cid = "auto";
  bool sticky_cid = false;
  std::string socket;
  std::string uds_path;
  std::optional<uint32_t> forward_cid;
  std::vector<uint32_t> forward_listen;
  std::vector<std::string> groups;
  std::vector<std::string> labels;
  uint32_t queue_size = 0;
  uint32_t tx_buffer_size = 0;
  std::vector<std::string> quota;
  std::string orphan_ttl;
  std::string ready_when;
  SocketAccessFlags access;
  bool no_seqpacket = false;
  bool validate_only = false;
};

ExitCode Usage(const std::string& what) {
  std::fprintf(stderr, "kinsockctl: %s\n", what.c_str());
  return kExitUsage;
}

ExitCode Create(const CreateFlags& flags, const Options& options) {
  v1::CreateVmRequest request;
  request.set_vm_id(ShortVmName(flags.name));
  request.set_validate_only(flags.validate_only);
  v1::VmSpec& spec = *request.mutable_vm()->mutable_spec();
  if (!ParseCid(flags.cid, *spec.mutable_cid())) return Usage(CidFault("--cid", flags.cid));
  spec.mutable_cid()->set_sticky(flags.sticky_cid);
  if (!flags.network.empty()) spec.set_network(FullNetworkName(flags.network));
  spec.set_vhost_user_socket(flags.socket);
  if (!flags.uds_path.empty()) spec.mutable_uds()->set_path(flags.uds_path);
  if (flags.forward_cid.has_value()) spec.mutable_vsock_proxy()->set_forward_cid(*flags.forward_cid);
  for (const uint32_t port : flags.forward_listen) spec.mutable_vsock_proxy()->add_listen_ports(port);
  for (const std::string& group : flags.groups) spec.add_groups(group);
  spec.set_queue_size(flags.queue_size);
  spec.set_tx_buffer_bytes(flags.tx_buffer_size);
  std::vector<std::string> limits;
  if (const std::string fault = ParseQuota(flags.quota, *spec.mutable_quota(), limits); !fault.empty()) {
    return Usage(fault);
  }
  if (flags.no_seqpacket) spec.set_allow_seqpacket(false);
  if (!flags.orphan_ttl.empty()) {
    const std::optional<std::chrono::milliseconds> ttl = TimeOf("--orphan-ttl", flags.orphan_ttl);
    if (!ttl.has_value()) return kExitUsage;
    SetDuration(*ttl, *spec.mutable_orphan_ttl());
  }
  if (!flags.ready_when.empty() && !ParseReadiness(flags.ready_when, *spec.mutable_readiness())) {
    return Usage(ReadinessFault(flags.ready_when));
  }
  if (flags.access.any() && !flags.access.Fill(*spec.mutable_socket_access())) {
    return Usage(absl::StrCat("--socket-mode: \"", flags.access.mode, "\" is not a mode; write 0660"));
  }
  for (const std::string& label : flags.labels) {
    const std::vector<std::string> parts = absl::StrSplit(label, absl::MaxSplits('=', 1));
    if (parts.size() != 2) return Usage(absl::StrCat("--labels: \"", label, "\" is not KEY=VALUE"));
    (*request.mutable_vm()->mutable_labels())[parts[0]] = parts[1];
  }
  Client client(options);
  v1::Vm vm;
  const grpc::Status status = Ask(client, client.vms(), &v1::VmService::Stub::CreateVm, request, vm, kChangeTimeout);
  if (!status.ok()) return client.Report(status);
  // What is needed next, the socket, is in the wide table.
  Options shown = options;
  if (shown.format == OutputFormat::kTable) shown.format = OutputFormat::kWide;
  Print(RenderVm(vm, shown));
  return kExitOk;
}

struct GetFlags {
  std::string name;
  bool stats = false;
};

ExitCode Get(const GetFlags& flags, const Options& options) {
  Client client(options);
  v1::GetVmRequest request;
  request.set_name(FullVmName(flags.name));
  if (flags.stats) request.set_view(v1::FULL);
  v1::Vm vm;
  const grpc::Status status = Ask(client, client.vms(), &v1::VmService::Stub::GetVm, request, vm);
  if (!status.ok()) return client.Report(status);
  Print(RenderVm(vm, options));
  const bool table = options.format == OutputFormat::kTable || options.format == OutputFormat::kWide;
  if (flags.stats && table) {
    const bool zeros = options.format == OutputFormat::kWide;
    Print("\n" + MakeStatsTable(vm.status().stats(), zeros).Render(options));
  }
  return kExitOk;
}

ExitCode List(const std::string& filter, const Options& options) {
  Client client(options);
  v1::ListVmsResponse all;
  v1::ListVmsRequest request;
  request.set_filter(filter);
  RatesByName rates;
  const bool wide = options.format == OutputFormat::kWide;
  const grpc::Status status = wide ? ListMovingVms(client, request, all, rates) : ListAllVms(client, request, all);
  if (!status.ok()) return client.Report(status);
  Print(RenderVms(all, options, wide ? &rates : nullptr));
  return kExitOk;
}

struct DeleteFlags {
  std::string name;
  std::string uid;
  bool force = false;
  bool allow_missing = false;
  bool keep_cid = false;
  std::string drain_timeout;
};

ExitCode Delete(const DeleteFlags& flags, const Options& options) {
  v1::DeleteVmRequest request;
  std::chrono::milliseconds drain{0};
  if (!flags.drain_timeout.empty()) {
    const std::optional<std::chrono::milliseconds> parsed = TimeOf("--drain-timeout", flags.drain_timeout);
    if (!parsed.has_value()) return kExitUsage;
    drain = *parsed;
    SetDuration(drain, *request.mutable_drain_timeout());
  }
  Client client(options);
  auto context = std::make_unique<grpc::ClientContext>();
  client.SetDeadline(*context, kChangeTimeout + drain);
  request.set_name(FullVmName(flags.name));
  request.set_uid(flags.uid);
  request.set_force(flags.force);
  request.set_allow_missing(flags.allow_missing);
  request.set_keep_cid(flags.keep_cid);
  v1::Vm vm;
  const grpc::Status status = AwaitVmCall(
      client, request.name(), "deleting", std::move(context),
      [&](grpc::ClientContext* call, grpc::CompletionQueue* queue) {
        return client.vms().AsyncDeleteVm(call, request, queue);
      },
      vm);
  if (!status.ok()) return client.Report(status);
  if (ShowsMessage(options.format)) {
    Print(Render(vm, options.format));
  } else if (options.format == OutputFormat::kName) {
    if (!vm.name().empty()) Print(vm.name() + "\n");
  } else {
    Print(absl::StrCat(FullVmName(flags.name), vm.name().empty() ? " was not there\n" : " deleted\n"));
  }
  return kExitOk;
}

void DeclareCreate(CLI::App& vm, Command& command) {
  CLI::App* create = vm.add_subcommand("create", "Make a VM's device; start its VMM on the socket that this names");
  auto flags = std::make_shared<CreateFlags>();
  create->add_option("NAME", flags->name, "1 to 63 lower-case letters, digits and hyphens")->required();
  create->add_option("--net", flags->network, "The network it is in, by default \"default\"")->option_text("NAME");
  create->add_option("--cid", flags->cid, "Its vsock address: a number, a range, a reservation (cid list), or auto")
      ->option_text(kCidText);
  create->add_flag("--sticky-cid", flags->sticky_cid, "Rather the one that a VM of this name had last");
  create->add_option("--socket", flags->socket, "Where the VMM finds the device; by default in the runtime directory")
      ->option_text("PATH");
  create->add_option("--uds-path", flags->uds_path, "Where host programs find the guest; by default nowhere")
      ->option_text("PATH");
  CLI::Option* forward_cid =
      create
          ->add_option("--forward-cid", flags->forward_cid,
                       "In place of --uds-path: the guest's calls to the host go to this CID of the host's AF_VSOCK; "
                       "1 is the host itself")
          ->option_text("CID")
          ->excludes("--uds-path");
  create->add_option("--forward-listen", flags->forward_listen, "AF_VSOCK ports of the host that stand for the guest's")
      ->delimiter('+')
      ->option_text("9001+9002")
      ->needs(forward_cid);
  create->add_option("--groups", flags->groups, "Siblings share at least one (default)")
      ->delimiter(',')
      ->option_text("A,B");
  create->add_option("--queue-size", flags->queue_size, "Largest virtqueue (1024)")->option_text("N");
  create->add_option("--tx-buffer-size", flags->tx_buffer_size, "Window of each connection to the host (65536)")
      ->option_text("BYTES");
  create
      ->add_option("--quota", flags->quota,
                   "A limit: max_connections, max_pending_connections, max_buffer_bytes, or a rate per second: "
                   "connects_per_second, bytes_to_guest, bytes_from_guest, packets_from_guest (may be repeated)")
      ->delimiter(',')
      ->option_text("LIMIT=N[/BURST]");
  create->add_option("--labels", flags->labels, "For selecting")->delimiter(',')->option_text("K=V,K=V");
  flags->access.Add(*create, "--socket-");
  create
      ->add_option("--orphan-ttl", flags->orphan_ttl,
                   "Delete it when no VMM is connected for so long; by default never")
      ->option_text("30s|2m");
  create
      ->add_option(
          "--ready-when", flags->ready_when,
          "What makes it GuestReady: the guest connects to this port of the host; or a program in it accepts on "
          "this port of the guest; or it sends READY=1 to this port of the host, as systemd does")
      ->option_text("connects:N|probe:N|notify:N");
  create->add_flag("--no-seqpacket", flags->no_seqpacket, "Offer the guest no connections of type SEQPACKET");
  create->add_flag("--validate-only", flags->validate_only, "Check everything, make nothing");
  create->footer(
      "Examples:\n  kinsockctl vm create web --uds-path /run/kinsock/web.sock --labels tier=web --groups web,db\n"
      "  kinsockctl vm create web --cid 42 --ready-when notify:9000 -o json");
  create->callback(
      [flags, &command] { command = [flags](const Options& options) { return Create(*flags, options); }; });
}

void DeclareDelete(CLI::App& vm, Command& command) {
  CLI::App* remove = vm.add_subcommand("delete", "Take a VM's device apart");
  auto flags = std::make_shared<DeleteFlags>();
  remove->add_option("NAME", flags->name, "Which VM")->required();
  remove->add_flag("--force", flags->force, "Even when its VMM is connected");
  remove->add_flag("--allow-missing", flags->allow_missing, "It is no error when there is none");
  remove->add_flag("--keep-cid", flags->keep_cid, "Its CID stays reserved for a VM of this name, for a day");
  remove->add_option("--drain-timeout", flags->drain_timeout, "Let connections finish before, for so long at most")
      ->option_text("30s|500ms|2m");
  remove->add_option("--uid", flags->uid, "Only if this is its uid")->option_text("UID");
  remove->callback(
      [flags, &command] { command = [flags](const Options& options) { return Delete(*flags, options); }; });
}

}  // namespace

void DeclareVmCommands(CLI::App& vm, Command& command) {
  DeclareCreate(vm, command);
  CLI::App* get = vm.add_subcommand("get", "Show one VM");
  auto flags = std::make_shared<GetFlags>();
  get->add_option("NAME", flags->name, "Which VM")->required();
  get->add_flag("--stats", flags->stats, "Also what went through its device");
  get->callback([flags, &command] { command = [flags](const Options& options) { return Get(*flags, options); }; });
  CLI::App* list =
      vm.add_subcommand("list", "Show all VMs; -o wide also what moves in them, which takes half a second");
  auto filter = std::make_shared<std::string>();
  list->add_option("--filter", *filter,
                   "Only those that match, as \"labels.tier = web AND state != ACTIVE AND groups:db\"")
      ->option_text("FILTER");
  list->footer(
      "Examples:\n  kinsockctl vm list --filter 'labels.tier = web AND state != ACTIVE'\n  kinsockctl vm list -o json "
      "| jq -r '.vms[].status.cid'");
  list->callback([filter, &command] { command = [filter](const Options& options) { return List(*filter, options); }; });
  DeclareDelete(vm, command);
}

}  // namespace kinsock
