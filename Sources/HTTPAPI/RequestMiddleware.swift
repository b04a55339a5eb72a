// The outermost layer around every route: nobody unknown gets in, every failure leaves as an error object, and every
// answer is counted and logged.

import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging

/// Turns whatever a route throws into the API's error.
struct RequestMiddleware: RouterMiddleware {
    typealias Context = APIContext
    let metrics: Metrics

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response: Response
        do {
            try admit(request, context)
            response = try await next(request, context)
        } catch {
            response = refuse(request, context, error)
        }
        let route =
            context.endpointPath.flatMap { $0 == "NotFound" ? nil : "\(request.method.rawValue) \($0)" } ?? "none"
        metrics.countAnswer(route: route, status: response.status.code)
        context.logger.debug(
            "request",
            metadata: [
                "route": "\(route)", "status": "\(response.status.code)", "uid": "\(context.peer.user)",
                "pid": "\(context.peer.process)", "seconds": "\(start.duration(to: .now).seconds)",
            ])
        return response
    }

    // Health is public: a probe in another user namespace may ask whether we live, and nothing else.
    private func admit(_ request: Request, _ context: Context) throws {
        guard context.peer.user == PeerCredentials.unmappedUser, context.endpointPath != "/healthz" else { return }
        throw APIError(
            .forbidden, "forbidden",
            "the kernel does not say who you are (uid 65534): connect from caked's own user namespace")
    }

    private func refuse(_ request: Request, _ context: Context, _ thrown: any Error) -> Response {
        let error = APIError(thrown)
        let metadata: Logger.Metadata = [
            "code": "\(error.code)", "method": "\(request.method.rawValue)",
            "route": "\(context.endpointPath ?? "none")", "uid": "\(context.peer.user)",
        ]
        if error.status.code >= 500, error != .shuttingDown {
            context.logger.warning("request failed: \(thrown)", metadata: metadata)
        } else {
            context.logger.info("request refused: \(error.message)", metadata: metadata)
        }
        return error.response
    }
}

extension Duration {
    /// As a number of seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
