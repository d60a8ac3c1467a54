#include "broker/jobs/job.h"

#include "storage/base/check.h"

namespace tidemark::broker {

std::string_view to_string(JobState state) {
  switch (state) {
    case JobState::running:
      return "running";
    case JobState::paused:
      return "paused";
    case JobState::done:
      return "done";
    case JobState::failed:
      return "failed";
    case JobState::cancelled:
      return "cancelled";
  }
  check_failed("every state of a job is known", __FILE__, __LINE__);
}

std::string_view to_string(JobWait wait) {
  switch (wait) {
    case JobWait::nothing:
      return "";
    case JobWait::turn:
      return "turn";
    case JobWait::pace:
      return "pace";
    case JobWait::disk_full:
      return "disk_full";
    case JobWait::overloaded:
      return "overloaded";
  }
  check_failed("every wait of a job is known", __FILE__, __LINE__);
}

}  // namespace tidemark::broker
