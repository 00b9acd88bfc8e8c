// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "capture/filter_text.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/choice.h"
#include "cli/process/capture_file.h"
#include "cli/process/interruption.h"
#include "cli/text/duration.h"

namespace kinsock {
namespace {

// A packet's headers, and the longest one (CaptureRequest.snap_length).
constexpr uint32_t kLeastSnapLength = 76;
constexpr uint32_t kMostSnapLength = 65612;
// CaptureRequest.duration.
constexpr std::chrono::hours kLongest{24};
// The daemon sends what it has some 50 times a second: what went by before an interrupt is in the file.
constexpr std::chrono::milliseconds kGrace{100};

struct CaptureFlags {
  std::string file = "-";
  std::string filter;
  std::vector<std::string> vms;
  uint32_t snap_length = 0;
  uint64_t count = 0;
  std::string duration;
  v1::CaptureRequest::Format format = v1::CaptureRequest::PCAPNG;
  bool payload = false;
};

std::string FilterOf(const CaptureFlags& flags) {
  std::string filter = flags.filter;
  if (!flags.vms.empty()) absl::StrAppend(&filter, filter.empty() ? "" : " ", "vm=", absl::StrJoin(flags.vms, ","));
  return filter;
}

v1::CaptureRequest ToRequest(const CaptureFlags& flags) {
  v1::CaptureRequest request;
  request.set_filter(FilterOf(flags));
  request.set_snap_length(flags.snap_length);
  request.set_max_packets(flags.count);
  request.set_format(flags.format);
  request.set_payload(flags.payload);
  return request;
}

ExitCode NotUnderstood(const char* flag, std::string_view what) {
  std::fprintf(stderr, "kinsockctl: %s: %.*s\n", flag, static_cast<int>(what.size()), what.data());
  return kExitUsage;
}

// What the daemon would not take, said before it is asked.
ExitCode Check(const CaptureFlags& flags) {
  if (flags.file.empty()) return NotUnderstood("--write", "name a file; - is standard output");
  for (const std::string& vm : flags.vms) {
    if (vm.empty() || vm.find_first_of(" \t\n") != std::string::npos) {
      return NotUnderstood("--vm", absl::StrCat(Quoted(vm), " is no name of a VM"));
    }
  }
  const absl::Status filter = CaptureFilterText::Parse(FilterOf(flags)).status();
  return filter.ok() ? kExitOk : NotUnderstood("--filter", {filter.message().data(), filter.message().size()});
}

ExitCode CannotWrite(const CaptureFile& file, int error) {
  const char* const left = file.empty() ? "" : "; what is there until then can be read";
  std::fprintf(stderr, "kinsockctl: %s: %s%s\n  try: %s\n", file.name().c_str(), strerror(error), left,
               file.opened() ? "a place with more room, or to capture less: --filter, --snap-length, --count"
                             : "-w with a file in a directory that is there, and that you may write to");
  return kExitError;
}

ExitCode Capture(const CaptureFlags& flags, const Options& options) {
  if (const ExitCode fault = Check(flags); fault != kExitOk) return fault;
  v1::CaptureRequest request = ToRequest(flags);
  if (!flags.duration.empty()) {
    const std::optional<std::chrono::milliseconds> duration = ParseDuration(flags.duration);
    if (!duration.has_value() || duration->count() == 0 || *duration > kLongest) {
      return NotUnderstood("--duration",
                           absl::StrCat(Quoted(flags.duration), " is no time up to 24 h; write 30s, 500ms or 2m"));
    }
    SetDuration(*duration, *request.mutable_duration());
  }
  const bool to_output = flags.file == "-";
  if (to_output && isatty(STDOUT_FILENO) != 0) {
    std::fprintf(stderr,
                 "kinsockctl: a capture file is not for a terminal; name one with -w FILE, or give it to a program, as "
                 "with: kinsockctl capture -w - | tshark -r -\n");
    return kExitUsage;
  }
  grpc::ClientContext context;
  Interruption interruption(to_output ? STDOUT_FILENO : -1, [&context] {
    std::this_thread::sleep_for(kGrace);
    context.TryCancel();
  });
  Client client(options);
  if (options.timeout.has_value()) client.SetDeadline(context, kQuestionTimeout);
  CaptureFile file(flags.file);
  const auto stream = client.connections().Capture(&context, request);
  v1::CaptureChunk chunk;
  int error = 0;
  bool begun = false;
  while (error == 0 && stream->Read(&chunk)) {
    begun = true;
    error = file.Add(chunk);
  }
  if (error != 0) context.TryCancel();
  const grpc::Status status = stream->Finish();
  if (begun) file.Summarize();
  // Who reads us has seen enough: that is an end like another.
  if (error == EPIPE) return kExitOk;
  if (error != 0) return CannotWrite(file, error);
  return interruption.happened() ? kExitOk : client.Report(status);
}

}  // namespace

void DeclareCapture(CLI::App& app, Command& command) {
  CLI::App* capture = app.add_subcommand("capture", "Write the packets that go through the daemon into a capture file");
  auto flags = std::make_shared<CaptureFlags>();
  capture->add_option("-w,--write", flags->file, "The file; -, the default, is standard output, for tshark -r -")
      ->option_text("FILE");
  capture
      ->add_option(
          "--filter", flags->filter,
          "Which packets: KEY=VALUE[,VALUE...] or KEY!=VALUE..., all of which must hold; keys are vm, network, "
          "direction, op, cid, src_cid, dst_cid, port, src_port, dst_port (docs/cli.md)")
      ->option_text("TERMS");
  capture->add_option("--vm", flags->vms, "Only what this VM sends and is given (may be repeated)")
      ->allow_extra_args(false)
      ->option_text("VM");
  capture->add_option("-s,--snap-length", flags->snap_length, "Bytes of each packet, its 76 of headers included (all)")
      ->check(CLI::Range(kLeastSnapLength, kMostSnapLength))
      ->option_text("N");
  capture->add_option("-c,--count", flags->count, "End after so many packets")
      ->check(CLI::NonNegativeNumber)
      ->option_text("N");
  capture->add_option("--duration", flags->duration, "End after this time")->option_text("TIME");
  AddChoice<v1::CaptureRequest::Format>(
      *capture, "--format", flags->format, {{"pcapng", v1::CaptureRequest::PCAPNG}, {"pcap", v1::CaptureRequest::PCAP}},
      "pcapng, with an interface for each VM and direction, and what was lost; or pcap");
  capture->add_flag("--payload", flags->payload,
                    "With what is said; for admins, if the daemon's configuration allows it");
  capture->callback(
      [flags, &command] { command = [flags](const Options& options) { return Capture(*flags, options); }; });
}

}  // namespace kinsock
