#pragma once

namespace tidemark::redis {

/// How a blocked command is ended from outside.
enum class Unblock {
  timeout,  ///< As if its time were up.
  error,    ///< CLIENT UNBLOCK ... ERROR.
  gone,     ///< Nobody reads the answer, or the broker stops.
};

}  // namespace tidemark::redis
