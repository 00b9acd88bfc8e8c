// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/resource_commands.h"
#include "cli/flags/flag_fault.h"
#include "cli/flags/name_and_port.h"
#include "cli/flags/socket_access_flags.h"
#include "cli/view/vm_view.h"
#include "server/host/runtime_dir.h"

namespace kinsock {
namespace {

using Stub = v1::ForwardService::Stub;

std::string FullForwardName(const std::string& name) {
  return name.rfind("forwards/", 0) == 0 ? name : "forwards/" + name;
}

void ShowForwards(const std::vector<v1::Forward>& forwards, bool list, const Options& options) {
  v1::ListForwardsResponse whole;
  *whole.mutable_forwards() = {forwards.begin(), forwards.end()};
  Show(
      forwards, list, {"NAME", "VM", "PORT", "DIRECTION", "ADDRESS", "OPEN", "CONNECTS", "REFUSED", "ERROR"},
      [](const v1::Forward& forward) {
        const v1::Forward::Status& status = forward.status();
        const bool to_guest = forward.direction() == v1::Forward::TO_GUEST;
        return std::vector<std::string>{LastPart(forward.name()),
                                        ShortVmName(forward.vm()),
                                        absl::StrCat(forward.guest_port()),
                                        to_guest ? "to-guest" : "from-guest",
                                        to_guest ? forward.listen() : forward.target(),
                                        absl::StrCat(status.open()),
                                        absl::StrCat(status.connects()),
                                        absl::StrCat(status.refused()),
                                        status.error()};
      },
      options, whole);
}

struct ForwardFlags {
  std::string name;
  std::string guest;  // "VM:PORT"
  std::string vm;
  std::string listen;
  std::string target;
  uint32_t port = 0;
  SocketAccessFlags access;
  bool proxy = false;
  bool no_proxy = false;
  bool reset = false;
};

// "unix:PATH" with all of its path; TCP as it is, for the daemon to judge. False: said what is wrong.
bool ParseAddress(const char* flag, const std::string& text, std::string& out) {
  out = text;
  if (text.rfind("unix:", 0) != 0) return true;
  const absl::StatusOr<std::string> path = ParseUnixEndpoint(text);
  if (path.ok()) out = "unix:" + *path;
  if (!path.ok()) std::fprintf(stderr, "kinsockctl: %s: %s\n", flag, std::string(path.status().message()).c_str());
  return path.ok();
}

bool FillForward(const ForwardFlags& flags, v1::Forward& forward) {
  std::string vm;
  uint32_t port = 0;
  if (!ParseNameAndPort(flags.guest, vm, port)) {
    return Fault("forward create", flags.guest, "of the form VM:PORT");
  }
  forward.set_vm(FullVmName(vm));
  forward.set_guest_port(port);
  if (flags.listen.empty() == flags.target.empty()) {
    std::fprintf(stderr, "kinsockctl: forward create: say --listen or --target\n");
    return false;
  }
  forward.set_direction(flags.listen.empty() ? v1::Forward::FROM_GUEST : v1::Forward::TO_GUEST);
  if (!flags.listen.empty() && !ParseAddress("--listen", flags.listen, *forward.mutable_listen())) return false;
  if (!flags.target.empty() && !ParseAddress("--target", flags.target, *forward.mutable_target())) return false;
  forward.set_send_proxy_v2(flags.proxy);
  if (flags.access.any() && !flags.access.Fill(*forward.mutable_socket_access())) {
    return Fault("--mode", flags.access.mode, "a mode; write 0660");
  }
  return true;
}

ExitCode CreateForward(const ForwardFlags& flags, const Options& options) {
  v1::CreateForwardRequest request;
  request.set_forward_id(LastPart(flags.name));
  if (!FillForward(flags, *request.mutable_forward())) return kExitUsage;
  return AskAndShow(&Client::forwards, &Stub::CreateForward, request, ShowForwards, options);
}

ExitCode SetForward(const ForwardFlags& flags, const Options& options) {
  v1::UpdateForwardRequest request;
  v1::Forward& forward = *request.mutable_forward();
  forward.set_name(FullForwardName(flags.name));
  if (flags.port != 0) {
    forward.set_guest_port(flags.port);
    request.mutable_update_mask()->add_paths("guest_port");
  }
  if (!flags.target.empty()) {
    if (!ParseAddress("--target", flags.target, *forward.mutable_target())) return kExitUsage;
    request.mutable_update_mask()->add_paths("target");
  }
  if (flags.proxy || flags.no_proxy) {
    forward.set_send_proxy_v2(flags.proxy);
    request.mutable_update_mask()->add_paths("send_proxy_v2");
  }
  if (request.update_mask().paths().empty()) {
    std::fprintf(stderr, "kinsockctl: forward set: say what to change: --port, --target, --proxy-v2, --no-proxy-v2\n");
    return kExitUsage;
  }
  return AskAndShow(&Client::forwards, &Stub::UpdateForward, request, ShowForwards, options);
}

ExitCode GetForward(const ForwardFlags& flags, const Options& options) {
  v1::GetForwardRequest request;
  request.set_name(FullForwardName(flags.name));
  return AskAndShow(&Client::forwards, &Stub::GetForward, request, ShowForwards, options);
}

ExitCode DeleteForward(const ForwardFlags& flags, const Options& options) {
  v1::DeleteForwardRequest request;
  request.set_name(FullForwardName(flags.name));
  request.set_reset_connections(flags.reset);
  return AskQuietly(&Client::forwards, &Stub::DeleteForward, request, options);
}

ExitCode ListForwards(const ForwardFlags& flags, const Options& options) {
  v1::ListForwardsRequest request;
  if (!flags.vm.empty()) request.set_vm(FullVmName(flags.vm));
  return AskAndShowAll(&Client::forwards, &Stub::ListForwards, request, &v1::ListForwardsResponse::forwards,
                       ShowForwards, options);
}

constexpr char kAddress[] = "unix:PATH|tcp:127.0.0.1:PORT|tcp:[::1]:PORT";

}  // namespace

void DeclareForwardCommands(CLI::App& app, Command& command) {
  CLI::App* forward = app.add_subcommand("forward", "Sockets of the host that are joined to ports of guests");
  forward->require_subcommand(1)->fallthrough();
  forward->footer(
      "Examples:\n  kinsockctl forward create ssh web:22 --listen unix:/run/kinsock/web.ssh\n"
      "  kinsockctl forward create log web:514 --target tcp:127.0.0.1:514\n  kinsockctl forward list --vm web");
  const auto declare = DeclareBelow<ForwardFlags>(forward, command);
  const auto [create, made] = declare("create", "Make a forward", CreateForward);
  create->add_option("name", made->name, "Its name")->required();
  create->add_option("guest", made->guest, "Whose port")->required()->option_text("VM:PORT");
  create->add_option("--listen", made->listen, "Who connects there gets to the guest's port")->option_text(kAddress);
  create->add_option("--target", made->target, "Where the guest gets that calls the host's port")
      ->option_text(kAddress);
  made->access.Add(*create, "--");
  create->add_flag("--proxy-v2", made->proxy, "Begin each connection with a header of the PROXY protocol");
  const auto [set, changed] = declare("set", "Change a forward; connections that exist stay", SetForward);
  set->add_option("name", changed->name, "Its name")->required();
  set->add_option("--port", changed->port, "The guest's port, or that of the host which it calls")->option_text("PORT");
  set->add_option("--target", changed->target, "Where the guest gets that calls the host's port")
      ->option_text(kAddress);
  CLI::Option* const proxy = set->add_flag("--proxy-v2", changed->proxy, "Begin connections with a PROXY header");
  set->add_flag("--no-proxy-v2", changed->no_proxy, "Begin them without")->excludes(proxy);
  const auto [list, listed] = declare("list", "Show the forwards", ListForwards);
  list->add_option("--vm", listed->vm, "Only those of this VM")->option_text("VM");
  const auto [get, shown] = declare("get", "Show a forward", GetForward);
  get->add_option("name", shown->name, "Its name")->required();
  const auto [remove, removed] = declare("delete", "Take a forward away; connections that exist stay", DeleteForward);
  remove->add_option("name", removed->name, "Its name")->required();
  remove->add_flag("--reset", removed->reset, "End its connections, too");
}

}  // namespace kinsock
