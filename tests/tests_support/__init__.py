"""What several tests share: a scripted service, and the wire's objects written from the documented facts."""
