// The time of day that templates are told.

import Glibc
import Jinja

extension Moment {
    /// This moment, in the local time zone.
    package static var now: Moment { Moment(secondsSince1970: time(nil)) }

    /// A moment in the local time zone.
    package init(secondsSince1970 seconds: Int) {
        var seconds = time_t(seconds)
        var parts = tm()
        unsafe localtime_r(&seconds, &parts)
        self.init(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec))
    }
}
