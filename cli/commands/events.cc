// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/text/output.h"

namespace kinsock {
namespace {

struct EventFlags {
  bool follow = false;
  std::string since;
};

// A line for each: what others say in it cannot make another line, or move the cursor.
std::string Line(const v1::Event& event) {
  const std::string type = absl::AsciiStrToLower(v1::Event::Type_Name(event.type()));
  return absl::StrCat(google::protobuf::util::TimeUtil::ToString(event.time()), "  ", type, "  ", event.reason(), "  ",
                      absl::Utf8SafeCEscape(event.object()), "  ", absl::Utf8SafeCEscape(event.message()), "\n");
}

void PrintEvent(const v1::Event& event, const Options& options) {
  if (options.format == OutputFormat::kJson || options.format == OutputFormat::kJsonl) {
    return Print(Render(event, OutputFormat::kJsonl));
  }
  const bool is_mark = event.type() == v1::Event::SYNCED || event.type() == v1::Event::BOOKMARK;
  if (is_mark) return;
  if (options.format == OutputFormat::kYaml) return Print("---\n" + Render(event, options.format));
  Print(options.format == OutputFormat::kName ? event.id() + "\n" : Line(event));
}

ExitCode Events(const EventFlags& flags, const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  if (options.timeout.has_value() || !flags.follow) client.SetDeadline(context, kQuestionTimeout);
  v1::WatchRequest request;
  request.set_resource_version(flags.since);
  const auto stream = client.admin().WatchEvents(&context, request);
  v1::Event event;
  bool all = false;
  while (!all && stream->Read(&event)) {
    all = !flags.follow && event.type() == v1::Event::SYNCED;
    if (!all) PrintEvent(event, options);
    if (all || std::ferror(stdout) != 0) context.TryCancel();  // enough, or nobody reads us
  }
  const grpc::Status status = stream->Finish();
  return all ? kExitOk : client.Report(status);
}

}  // namespace

void DeclareEvents(CLI::App& app, Command& command) {
  CLI::App* events = app.add_subcommand("events", "Show what has happened: VMs, changes by the API, denials");
  auto flags = std::make_shared<EventFlags>();
  CLI::Option* follow = events->add_flag("-f,--follow", flags->follow, "Then what happens, as it happens");
  events->add_option("--since", flags->since, "Only what came after this \"resourceVersion\" of an event")
      ->needs(follow)
      ->option_text("VERSION");
  events->footer(
      "Examples:\n  kinsockctl events -f\n  kinsockctl events -o jsonl | jq -r 'select(.type == \"DENIAL\")'");
  events->callback(
      [flags, &command] { command = [flags](const Options& options) { return Events(*flags, options); }; });
}

}  // namespace kinsock
