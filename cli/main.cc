// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/man_page.h"
#include "base/version.h"
#include "cli/call/client.h"
#include "cli/call/exit_code.h"
#include "cli/call/same_daemon.h"
#include "cli/commands/commands.h"
#include "cli/commands/complete.h"
#include "cli/flags/choice.h"
#include "cli/flags/time_flag.h"
#include "cli/process/terminal.h"
#include "cli/text/options.h"
#include "cli/text/shell_word.h"
#include "cli/text/text_width.h"
#include "server/host/runtime_dir.h"
#include "server/host/tcp_endpoint.h"

namespace {

using kinsock::OutputFormat;

struct GlobalFlags {
  std::string endpoint;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_server_name;
  std::string timeout;
  OutputFormat format = OutputFormat::kTable;
  bool no_headers = false;
  bool no_color = false;
  bool verbose = false;
};

void DeclareGlobals(CLI::App& app, GlobalFlags& flags) {
  app.set_version_flag("--version", std::string("kinsockctl ") + kinsock::kVersion);
  app.add_option("--endpoint", flags.endpoint,
                 "The daemon's API; by default $KINSOCK_ENDPOINT or " + kinsock::DefaultEndpoint())
      ->option_text("unix:PATH|tcp:ADDRESS:PORT");
  const auto tls = [&](const char* flag, std::string& value, const char* variable, const char* help, const char* what) {
    app.add_option(flag, value, help)->envname(variable)->option_text(what);
  };
  tls("--tls-ca", flags.tls_ca, "KINSOCK_TLS_CA", "Over TCP: the authority that vouches for the daemon (PEM)", "FILE");
  tls("--tls-cert", flags.tls_cert, "KINSOCK_TLS_CERT", "Over TCP: your certificate, whose names give the role",
      "FILE");
  tls("--tls-key", flags.tls_key, "KINSOCK_TLS_KEY", "Over TCP: its private key", "FILE");
  tls("--tls-server-name", flags.tls_server_name, "KINSOCK_TLS_SERVER_NAME",
      "Over TCP: the name in the daemon's certificate; by default its address", "NAME");
  kinsock::AddChoice<OutputFormat>(app, "-o,--output", flags.format,
                                   {{"table", OutputFormat::kTable},
                                    {"wide", OutputFormat::kWide},
                                    {"json", OutputFormat::kJson},
                                    {"yaml", OutputFormat::kYaml},
                                    {"name", OutputFormat::kName},
                                    {"jsonl", OutputFormat::kJsonl}},
                                   "How to show the answer; JSON is that of the API's messages");
  app.add_option("--timeout", flags.timeout, "How long to wait for the daemon")->option_text("30s|500ms|2m");
  app.add_flag("--no-headers", flags.no_headers, "Tables without their first line");
  app.add_flag("--no-color", flags.no_color, "No colours, as with $NO_COLOR; they are for terminals only");
  app.add_flag("-v,--verbose", flags.verbose,
               "Tell of each call to the daemon on standard error: how it ended, and when");
}

// What gRPC calls `endpoint`.
absl::StatusOr<std::string> ChannelEndpoint(const std::string& endpoint) {
  if (!kinsock::TcpEndpoint::IsTcp(endpoint)) {
    const absl::StatusOr<std::string> path = kinsock::ParseUnixEndpoint(endpoint);
    if (!path.ok()) return path.status();
    return "unix:" + *path;
  }
  const absl::StatusOr<kinsock::TcpEndpoint> tcp = kinsock::TcpEndpoint::Parse(endpoint);
  if (!tcp.ok()) return tcp.status();
  return (tcp->text().front() == '[' ? "ipv6:" : "ipv4:") + tcp->text();
}

// Nothing: the flags make no sense; it was said why.
std::optional<kinsock::Options> Interpret(const GlobalFlags& flags) {
  kinsock::Options options;
  options.format = flags.format;
  options.headers = !flags.no_headers;
  options.columns = kinsock::TerminalColumns(STDOUT_FILENO);
  options.colour = !flags.no_color && kinsock::EnvironmentAllowsColour() && kinsock::IsCapableTerminal(STDOUT_FILENO);
  options.verbose = flags.verbose;
  const std::string endpoint = flags.endpoint.empty() ? kinsock::DefaultEndpoint() : flags.endpoint;
  const absl::StatusOr<std::string> channel = ChannelEndpoint(endpoint);
  if (!channel.ok()) {
    std::fprintf(stderr, "kinsockctl: --endpoint: %s\n", std::string(channel.status().message()).c_str());
    return std::nullopt;
  }
  options.endpoint = *channel;
  options.tls_ca = flags.tls_ca;
  options.tls_cert = flags.tls_cert;
  options.tls_key = flags.tls_key;
  options.tls_server_name = flags.tls_server_name;
  if (kinsock::TcpEndpoint::IsTcp(endpoint) &&
      (flags.tls_ca.empty() || flags.tls_cert.empty() || flags.tls_key.empty())) {
    std::fprintf(stderr,
                 "kinsockctl: --endpoint: %s is only served with TLS; give --tls-ca, --tls-cert and --tls-key\n",
                 endpoint.c_str());
    return std::nullopt;
  }
  if (!flags.timeout.empty()) {
    options.timeout = kinsock::TimeOf("--timeout", flags.timeout);
    if (!options.timeout.has_value()) return std::nullopt;
  }
  return options;
}

// What completion scripts call to learn what may follow. Not one of the declared commands, since the words behind it
// are those of another one.
constexpr char kComplete[] = "__complete";

void DeclareCommands(CLI::App& app, const std::vector<std::string>& rest_of_ssh, kinsock::Command& command) {
  CLI::App* vm = app.add_subcommand("vm", "Virtual machines");
  vm->require_subcommand(1)->fallthrough();
  vm->footer(
      "Examples:\n  kinsockctl vm create web --uds-path /run/kinsock/web.sock   # then: kinsockctl vmm-args web\n"
      "  kinsockctl vm wait web --for=ACTIVE --timeout 1m\n  kinsockctl vm list -o wide\n"
      "  kinsockctl vm delete web --drain-timeout 30s");
  kinsock::DeclareVmCommands(*vm, command);
  kinsock::DeclareVmChangeCommands(*vm, command);
  kinsock::DeclareVmDrainCommands(*vm, command);
  kinsock::DeclareWatchCommands(*vm, command);
  kinsock::DeclareApply(app, "Make VMs, networks, policies and forwards, or change them, until they are as files say",
                        command);
  kinsock::DeclareConnCommands(app, command);
  kinsock::DeclareNetCommands(app, command);
  kinsock::DeclarePolicyCommands(app, command);
  kinsock::DeclareCidCommands(app, command);
  kinsock::DeclareForwardCommands(app, command);
  kinsock::DeclareStats(app, command);
  kinsock::DeclareTop(app, command);
  kinsock::DeclareCapture(app, command);
  kinsock::DeclareExplain(app, command);
  kinsock::DeclareGuestCommands(app, command);
  kinsock::DeclareTunnel(app, command);
  kinsock::DeclareBench(app, command);
  kinsock::DeclareSshCommands(app, rest_of_ssh, command);
  kinsock::DeclareVmmArgs(app, command);
  kinsock::DeclareInfo(app, command);
  kinsock::DeclareAdmin(app, command);
  kinsock::DeclareEvents(app, command);
  kinsock::DeclareTrace(app, command);
  kinsock::DeclareCompletion(app, command);
}

// Cuts off what follows the VM of "ssh": options and words that may be called as our own are.
std::vector<std::string> TakeRestOfSsh(const CLI::App& app, std::vector<std::string>& words) {
  const size_t command = kinsock::FirstPositional(app, words);
  if (command == words.size() || words[command] != "ssh") return {};
  const size_t vm = kinsock::FirstPositional(app, words, command + 1);
  if (vm == words.size()) return {};
  std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(vm) + 1, words.end());
  if (!rest.empty() && rest.front() == "--") rest.erase(rest.begin());
  words.resize(vm + 1);
  return rest;
}

// "vm create", of a line that has been understood as far as that.
std::string CommandOf(const CLI::App& app) {
  std::string words;
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    words += (words.empty() ? "" : " ") + command->get_name();
  }
  return words;
}

void TryHelp(const std::string& command) {
  std::fprintf(stderr, "  try: kinsockctl %s%s--help\n", command.c_str(), command.empty() ? "" : " ");
}

// What the line says of which daemon it means, for a shell; not what the environment does.
std::string DaemonFlags(const std::vector<std::string>& words) {
  std::string flags;
  for (const char* flag : {"--endpoint", "--tls-ca", "--tls-cert", "--tls-key", "--tls-server-name"}) {
    const std::string value = kinsock::ValueOf(words, flag);
    if (!value.empty()) flags += std::string(" ") + flag + " " + kinsock::ShellWord(value);
  }
  return flags;
}

// What the program ends with, once all of its output is where it should be.
int End(kinsock::ExitCode code) {
  if (std::ferror(stdout) == 0 && std::fflush(stdout) == 0) return code;
  std::fprintf(stderr, "kinsockctl: standard output takes no more\n  try: whether it is closed, or its disk is full\n");
  return code == kinsock::kExitOk ? kinsock::kExitError : code;
}

// For a line that is not complete: as far as it names a daemon, that one.
void CompleteLine(const CLI::App& app, std::vector<std::string> words) {
  const auto value = [&words](const char* flag, const char* variable = nullptr) {
    const std::string said = kinsock::ValueOf({words.begin(), words.end() - (words.empty() ? 0 : 1)}, flag);
    const char* const set = said.empty() && variable != nullptr ? std::getenv(variable) : nullptr;
    return set != nullptr ? std::string(set) : said;
  };
  GlobalFlags flags;
  flags.endpoint = value("--endpoint");
  flags.tls_ca = value("--tls-ca", "KINSOCK_TLS_CA");
  flags.tls_cert = value("--tls-cert", "KINSOCK_TLS_CERT");
  flags.tls_key = value("--tls-key", "KINSOCK_TLS_KEY");
  flags.tls_server_name = value("--tls-server-name", "KINSOCK_TLS_SERVER_NAME");
  const std::optional<kinsock::Options> options = Interpret(flags);
  if (options.has_value()) kinsock::PrintCandidates(app, words, *options);
}

// A descriptor that whoever started us has closed would be given to the next socket, and what is printed would go
// there. One that cannot be written to takes its place, so that it is said that nobody reads.
void OccupyStandardDescriptors() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDONLY);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  OccupyStandardDescriptors();
  // Whoever started us: an end of what reads us (head, less) is no error to talk about.
  std::signal(SIGPIPE, SIG_DFL);
  CLI::App app("kinsockctl: creates, watches and removes the vsock devices of VMs, and reaches their guests",
               "kinsockctl");
  app.require_subcommand(1)->fallthrough();
  GlobalFlags flags;
  kinsock::Command command;
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc), rest_of_ssh;
  DeclareGlobals(app, flags);
  DeclareCommands(app, rest_of_ssh, command);
  // Last: commands take over the one of what they are in.
  app.footer(
      "Examples:\n"
      "  kinsockctl vm create web --uds-path /run/kinsock/web.sock   # then: kinsockctl vmm-args web\n"
      "  kinsockctl vm list -o wide\n"
      "  kinsockctl apply -f vms.yaml --dry-run\n"
      "  kinsockctl explain web db:5432                              # why it does not work\n"
      "Exit codes: 0 done, 1 error, 2 usage, 3 not found, 4 conflict, 5 denied, 6 no daemon, 124 not in time");
  if (!words.empty() && words.front() == kComplete) {
    CompleteLine(app, {words.begin() + 1, words.end()});
    return End(kinsock::kExitOk);
  }
  if (words.size() == 1 && words.front() == kinsock::kManPageWord) {
    std::fputs(kinsock::ManPage(app).c_str(), stdout);
    return End(kinsock::kExitOk);
  }
  rest_of_ssh = TakeRestOfSsh(app, words);
  const std::string unknown = kinsock::UnknownCommand(app, words);
  kinsock::NameDaemon(DaemonFlags(words));
  // The library reports by exceptions, --help included.
  try {
    std::reverse(words.begin(), words.end());  // as it wants them
    app.parse(words);
  } catch (const CLI::Success& success) {
    app.exit(success);  // prints it
    return End(kinsock::kExitOk);
  } catch (const CLI::Error& error) {
    // What is not understood may be anything, and who mistyped a command is told of nothing else.
    const std::string fault = unknown.empty() ? kinsock::CleanText(error.what()) : unknown;
    std::fprintf(stderr, "kinsockctl: %s\n", fault.c_str());
    TryHelp(CommandOf(app));
    return kinsock::kExitUsage;
  }
  std::optional<kinsock::Options> options = Interpret(flags);
  if (!options.has_value()) {
    TryHelp("");
    return kinsock::kExitUsage;
  }
  options->command = CommandOf(app);
  const kinsock::ExitCode code = command(*options);
  if (code == kinsock::kExitUsage) TryHelp(options->command);  // what is wrong was said
  return End(code);
}
